"""What people type to change the variables that a project's apps share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from apps.projects import dotenv
from apps.projects.environment_forms import CODE, NAME_MAX, NAME_RULE, VALUE_MAX, LockField
from apps.projects.models import Project, SharedVariable
from apps.projects.references import REFERENCE


class SharedVariableForm(forms.Form):
    """A new variable of `project`, or changes of `variable`, whose name stays what it is."""

    name = forms.CharField(
        label="Name",
        error_messages={"required": "Name the variable, for example DATABASE_PASSWORD."},
        widget=forms.TextInput(attrs={**CODE, "placeholder": "DATABASE_PASSWORD"}),
    )
    value = forms.CharField(
        label="Value",
        required=False,
        strip=False,
        max_length=VALUE_MAX,
        error_messages={"max_length": f"A value has at most {VALUE_MAX:,} characters."},
        widget=forms.Textarea(attrs={**CODE, "rows": 2, "maxlength": None}),
    )
    is_locked = LockField()

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        project: Project,
        variable: SharedVariable | None = None,
    ) -> None:
        super().__init__(data)
        self.project, self.variable = project, variable
        if variable is not None:
            del self.fields["name"]
            self.fields["value"].label = "New value"
            self.fields["value"].help_text = "Empty: the value stays what it is."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not dotenv.NAME.fullmatch(name) or len(name) > NAME_MAX:
            raise ValidationError(NAME_RULE)
        if SharedVariable.objects.filter(project=self.project, name=name).exists():
            raise ValidationError(f"There is a variable {name} already. Edit it in the list.")
        return name

    def clean_value(self) -> str:
        """As it was typed. It is literal, so what looks like a reference is a mistake."""
        value = str(self.cleaned_data["value"]).replace("\r\n", "\n")
        if REFERENCE.search(value):
            raise ValidationError(
                "A shared value refers to nothing itself. Put the reference into the app's own "
                "variable."
            )
        return value
