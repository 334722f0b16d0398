"""What people type to change an app's environment."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from apps.projects import dotenv
from apps.projects.models import App, EnvironmentVariable
from apps.projects.references import problems
from apps.projects.selectors import shared_names

VALUE_MAX = 100_000
"""Characters. Linux takes 128 KB for one variable, name included."""
NAME_MAX = 200
CODE = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false", "class": "mono"}


NAME_RULE = (
    "A name has letters, digits and _ only, does not begin with a digit and has at most "
    f"{NAME_MAX} characters, for example DATABASE_URL."
)


class LockField(forms.BooleanField):
    """Whether a value is never to be shown again."""

    def __init__(self) -> None:
        super().__init__(label="Lock", required=False)


class ValueForm(forms.Form):
    """A name and its value, of an app or of a project."""

    name = forms.CharField(
        label="Name",
        error_messages={"required": "Name the variable, for example DATABASE_URL."},
        widget=forms.TextInput(attrs={**CODE, "placeholder": "DATABASE_URL"}),
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

    def keep_name(self) -> None:
        """It is there already: only its value becomes another one."""
        del self.fields["name"]
        self.fields["value"].label = "New value"
        self.fields["value"].help_text = "Empty: the value stays what it is."

    def is_taken(self, name: str) -> bool:
        raise NotImplementedError

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not dotenv.NAME.fullmatch(name) or len(name) > NAME_MAX:
            raise ValidationError(NAME_RULE)
        if self.is_taken(name):
            raise ValidationError(f"There is a variable {name} already. Edit it in the list.")
        return name


class VariableForm(ValueForm):
    """A new variable of `app`, or changes of `variable`, whose name stays what it is."""

    at_runtime = forms.BooleanField(label="Run time", required=False, initial=True)
    at_build = forms.BooleanField(label="Build time", required=False)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        app: App,
        variable: EnvironmentVariable | None = None,
    ) -> None:
        initial = {name: getattr(variable, name) for name in ("at_runtime", "at_build") if variable}
        super().__init__(data, initial=initial)
        self.app, self.variable = app, variable
        if variable is not None:
            self.keep_name()

    def is_taken(self, name: str) -> bool:
        return self.app.variables.filter(name=name).exists()

    def clean_value(self) -> str:
        """As it was typed: browsers send line ends as two characters."""
        value = str(self.cleaned_data["value"]).replace("\r\n", "\n")
        if found := problems(value, lambda: shared_names(self.app.project_id)):
            raise ValidationError(found)
        return value

    def clean(self) -> dict[str, Any]:
        if not (self.cleaned_data.get("at_runtime") or self.cleaned_data.get("at_build")):
            self.add_error("at_runtime", "Choose run time, build time or both.")
        return self.cleaned_data


class PasteForm(forms.Form):
    """A whole .env. It is taken when every line of it can be read, else nothing of it is."""

    text = forms.CharField(
        label="Contents of the .env file",
        strip=False,
        error_messages={"required": "Paste at least one NAME=value line."},
        widget=forms.Textarea(
            attrs={
                **CODE,
                "rows": 8,
                "class": "textarea mono min-h-36",
                "placeholder": "NAME=value",
            }
        ),
    )
    remove_others = forms.BooleanField(
        label="Remove variables that are not in the text", required=False
    )

    values: Mapping[str, str] = {}
    """The variables of a text that could be read."""

    def __init__(self, data: Mapping[str, Any] | None = None, *, app: App) -> None:
        super().__init__(data)
        self.app = app

    def clean_text(self) -> str:
        parsed = dotenv.parse(self.cleaned_data["text"])
        wrong = [f"Line {line}: {sentence}" for line, sentence in parsed.errors]
        shared = functools.cache(lambda: shared_names(self.app.project_id))
        for name, value in parsed.values.items():
            if len(name) > NAME_MAX:
                wrong.append(f"The name {name[:40]}… has more than {NAME_MAX} characters.")
            if len(value) > VALUE_MAX:
                wrong.append(f"The value of {name} has more than {VALUE_MAX:,} characters.")
            wrong += [f"{name}: {sentence}" for sentence in problems(value, shared)]
        if not wrong and not parsed.values:
            wrong.append("There is no NAME=value line in the text.")
        if wrong:
            raise ValidationError([ValidationError(problem) for problem in wrong])
        self.values = parsed.values
        return str(self.cleaned_data["text"])


class DeleteForm(forms.Form):
    """Deleting an app takes typing its name."""

    confirm = forms.CharField(
        required=False,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        ),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, app: App) -> None:
        super().__init__(data)
        self.app = app
        self.fields["confirm"].label = f"Type {app} to confirm"

    def clean_confirm(self) -> str:
        text: str = self.cleaned_data["confirm"]
        if text != str(self.app):
            raise ValidationError(f"This is not {self.app}. Nothing was deleted.")
        return text
