"""What people type to change the variables that a project's apps share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from apps.projects.environment_forms import ValueForm
from apps.projects.models import Project, SharedVariable
from apps.projects.references import REFERENCE


class SharedVariableForm(ValueForm):
    """A new variable of `project`, or changes of `variable`, whose name stays what it is."""

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
            self.keep_name()

    def is_taken(self, name: str) -> bool:
        return SharedVariable.objects.filter(project=self.project, name=name).exists()

    def clean_value(self) -> str:
        """As it was typed. It is literal, so what looks like a reference is a mistake."""
        value = str(self.cleaned_data["value"]).replace("\r\n", "\n")
        if REFERENCE.search(value):
            raise ValidationError(
                "A shared value refers to nothing itself. Put the reference into the app's own "
                "variable."
            )
        return value
