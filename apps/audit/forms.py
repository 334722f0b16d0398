"""What people ask of the audit trail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from apps.audit.models import ActorKind
from apps.audit.planning import action_groups
from apps.audit.selectors import Filters

WORDS = 6
KINDS = {
    ActorKind.SYSTEM: "Mist and its commands",
    ActorKind.TOKEN: "Anybody's API tokens",
    ActorKind.WEBHOOK: "Webhooks",
    ActorKind.VISITOR: "Nobody who is logged in",
}
MOMENT = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})
BAD_MOMENT = {"invalid": "Write date and time, for example 2026-11-04T14:30."}
PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class FilterForm(forms.Form):
    """Filters of the audit page. Every one may be left out; `people` and `projects` are what the
    lists offer, (id, name) each. An address may ask for others as well: for who is gone."""

    q = forms.CharField(
        label="Name",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "Thing, person or project"}),
    )
    actor = forms.CharField(label="Who", required=False, widget=forms.Select)
    action = forms.CharField(label="Action", required=False, max_length=60, widget=forms.Select)
    project = forms.CharField(label="Project", required=False, widget=forms.Select)
    since = forms.DateTimeField(
        label="From (UTC)", required=False, widget=MOMENT, error_messages=BAD_MOMENT
    )
    until = forms.DateTimeField(
        label="Before (UTC)", required=False, widget=MOMENT, error_messages=BAD_MOMENT
    )
    thing = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        people: Iterable[tuple[int, str]],
        projects: Iterable[tuple[int, str]] | None,
    ) -> None:
        super().__init__(data)
        self._offer(
            "actor",
            [
                ("", "Everybody"),
                *((str(kind), label) for kind, label in KINDS.items()),
                ("People", [(str(pk), name) for pk, name in people]),
            ],
        )
        self._offer("action", [("", "Every action"), *action_groups()])
        if projects is None:
            del self.fields["project"]
        else:
            offered = [(str(pk), name) for pk, name in projects]
            self._offer("project", [("", "Every project"), *offered])

    def _offer(self, name: str, choices: list[tuple[str, Any]]) -> None:
        """These choices, and whatever else is asked for now."""
        widget: Any = self.fields[name].widget
        known = {value for value, label in choices if isinstance(label, str)}
        known |= {v for _, group in choices if not isinstance(group, str) for v, _ in group}
        asked = self.data.get(name, "")
        widget.choices = [*choices, *([] if asked in known else [(asked, asked)])]

    def name_choice(self, name: str, text: str) -> None:
        """Call what is asked for by this name where the list does not know it."""
        if name not in self.fields:
            return
        widget: Any = self.fields[name].widget
        value = self.data.get(name, "")
        widget.choices = [
            (value, text) if choice == (value, value) else choice for choice in widget.choices
        ]

    def clean_actor(self) -> str:
        text: str = self.cleaned_data["actor"]
        if text and text not in KINDS and not _is_number(text):
            raise ValidationError("Choose somebody from the list.")
        return text

    def clean_project(self) -> int | None:
        text: str = self.cleaned_data["project"]
        if text and not _is_number(text):
            raise ValidationError("Choose a project from the list.")
        return int(text) if text else None

    def clean_thing(self) -> tuple[str, int] | None:
        text: str = self.cleaned_data["thing"]
        if not text:
            return None
        found = re.fullmatch(r"([a-z]{1,60}):([0-9]{1,18})", text, re.ASCII)
        if found is None:
            raise ValidationError("This is no thing that Mist knows.")
        return found[1], int(found[2])

    def filters(self, project_id: int | None = None) -> Filters:
        """What a valid form asks for, within the one project where it is given."""
        given = self.cleaned_data
        actor: str = given["actor"]
        kind, pk = given["thing"] or ("", None)
        return Filters(
            project_id=given.get("project") if project_id is None else project_id,
            actor_id=int(actor) if _is_number(actor) else None,
            actor_kind="" if _is_number(actor) else actor,
            action=given["action"],
            thing_type=kind,
            thing_id=pk,
            words=tuple(given["q"].split()[:WORDS]),
            since=given["since"],
            until=given["until"],
        )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) is not None
