"""What people type to make an API token."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils import timezone

from apps.accounts.models import User
from apps.api.models import Scope
from apps.api.selectors import tokens_of, works_at
from apps.projects.models import Project
from apps.projects.selectors import projects_visible_to

TOKENS_MAX = 50
"""Tokens that work, for one person: the limit of requests is each token's own."""
NEVER = "never"
DEFAULT_DAYS = "90"
EXPIRY = (
    ("7", "In 7 days"),
    ("30", "In 30 days"),
    (DEFAULT_DAYS, "In 90 days"),
    ("365", "In a year"),
    (NEVER, "Never"),
)
SCOPE_WORDS = {
    Scope.READ: "See apps and deployments. Every token may",
    Scope.DEPLOY: "Deploy, roll back, cancel and restart",
    Scope.WRITE: "Change the settings of apps",
    Scope.ADMIN: "Delete apps",
}


class TokenForm(forms.Form):
    """A new token of `user`."""

    name = forms.CharField(
        max_length=100,
        error_messages={"required": "Say what it is for, for example CI of shop/web."},
        help_text="What uses it.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "placeholder": "CI of shop/web", "maxlength": None}
        ),
    )
    scopes = forms.MultipleChoiceField(
        label="May",
        required=False,
        choices=[(scope.value, scope.label) for scope in Scope if scope != Scope.READ],
        error_messages={"invalid_choice": "There is no scope of that name."},
    )
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        Project.objects.none(),
        required=False,
        empty_label="All that you see",
        to_field_name="slug",
        help_text="A token of one project sees no other one.",
        error_messages={"invalid_choice": "There is no such project, or you may not see it."},
    )
    expires = forms.ChoiceField(
        label="Expires",
        choices=EXPIRY,
        initial=DEFAULT_DAYS,
        help_text="Then it works no more, and you make a new one.",
        error_messages={"invalid_choice": "Choose one of the list."},
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, user: User) -> None:
        super().__init__(data)
        self.user = user
        projects: Any = self.fields["project"]
        projects.queryset = projects_visible_to(user)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("A name has no control characters.")
        return name

    def clean(self) -> None:
        live = tokens_of(self.user).filter(works_at(timezone.now()))
        if live.count() >= TOKENS_MAX:
            words = f"You have {TOKENS_MAX} tokens that work. Revoke one of them first."
            self.add_error("name", words)

    @property
    def scope_rows(self) -> list[tuple[Scope, str, bool]]:
        """Scope, what it is for, whether it is chosen."""
        chosen = self["scopes"].value() or []
        return [(s, SCOPE_WORDS[s], s is Scope.READ or s in chosen) for s in Scope]

    def settings(self) -> dict[str, Any]:
        """As `token_create` takes them."""
        given = self.cleaned_data
        expires_at = None
        if given["expires"] != NEVER:
            expires_at = timezone.now() + dt.timedelta(days=int(given["expires"]))
        return {
            "name": given["name"],
            "scopes": given["scopes"],
            "project": given["project"],
            "expires_at": expires_at,
        }
