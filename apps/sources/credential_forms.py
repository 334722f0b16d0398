"""What people type to open a private repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from apps.engine.known_hosts import HostKey, parse_line
from apps.projects.settings_forms import PLAIN

MAX_TOKEN = 4000


class TokenForm(forms.Form):
    """An access token. One that is there is never filled in."""

    token = forms.CharField(
        label="Access token",
        max_length=MAX_TOKEN,
        error_messages={"required": "Paste the token that the Git host has made."},
        help_text="It needs to read this one repository, nothing else.",
        widget=forms.PasswordInput(
            attrs={**PLAIN, "autocomplete": "new-password", "maxlength": None}
        ),
    )
    username = forms.CharField(
        label="User name",
        max_length=200,
        required=False,
        help_text="Only where the host wants a certain one beside the token.",
        widget=forms.TextInput(attrs={**PLAIN, "maxlength": None}),
    )

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, auto_id="git_%s")

    def clean_token(self) -> str:
        return _plain(self.cleaned_data["token"], "A token")

    def clean_username(self) -> str:
        return _plain(self.cleaned_data["username"], "A user name")


def _plain(text: str, what: str) -> str:
    if not text.isprintable() or any(char.isspace() for char in text):
        raise ValidationError(f"{what} has no spaces and no line breaks. Paste it by itself.")
    return text


class HostKeyForm(forms.Form):
    """The keys that were shown of the server `host`, sent back by who has compared them."""

    lines = forms.CharField(max_length=20_000, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any] | None = None, *, host: str, port: int) -> None:
        super().__init__(data, auto_id="host_%s")
        self.place = (host, port)

    def clean_lines(self) -> list[HostKey]:
        keys = [parse_line(line) for line in self.cleaned_data["lines"].splitlines()]
        found = [key for key in keys if key is not None and (key.host, key.port) == self.place]
        if not found or len(found) != len(keys) or len({key.kind for key in found}) != len(keys):
            raise ValidationError("These are no keys of the repository's server.")
        return found
