"""What every form of an app's settings has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import CharField

from apps.engine.errors import InvalidSource
from apps.projects.models import App

PLAIN = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


def checked(check: Callable[[Any], Any], value: Any) -> Any:
    """What the check makes of the value; its sentence as a field error."""
    try:
        return check(value)
    except InvalidSource as error:
        raise ValidationError(" ".join(filter(None, [error.sentence, error.hint]))) from error


class SettingsForm(forms.Form):
    """Settings of `instance`, or of a new app. An empty field takes a setting's default."""

    instance: App | None = None
    """Whose settings they are; None for a new app."""

    def given(self, name: str) -> Any:
        """What was typed; the value there was, else the default, where a field was left empty."""
        value = self.cleaned_data[name]
        return value if value not in ("", None) else getattr(self.instance or App(), name)

    def short(self, name: str, value: str) -> str:
        """Raises `ValidationError` for more than the database keeps."""
        most = cast("CharField[str, str]", App._meta.get_field(name)).max_length or 0
        if len(value) > most:
            raise ValidationError(f"This has at most {most} characters.")
        return value
