"""What people type to open a private registry."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError

from apps.engine.image_names import check_registry
from apps.projects.settings_forms import PLAIN, checked


class RegistryForm(forms.Form):
    """A login for one registry."""

    registry = forms.CharField(
        label="Registry",
        max_length=255,
        error_messages={"required": "Name the registry, for example ghcr.io."},
        help_text="A host, with its port where it has one. Docker Hub is docker.io.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "ghcr.io", "maxlength": None}),
    )
    username = forms.CharField(
        label="User",
        max_length=200,
        error_messages={"required": "Say as whom, as the registry calls them."},
        widget=forms.TextInput(attrs={**PLAIN, "maxlength": None}),
    )
    password = forms.CharField(
        label="Password or token",
        max_length=8_000,
        error_messages={"required": "A password or an access token is needed."},
        help_text="Best a token that may only read. Nobody is shown it again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "maxlength": None}),
    )

    def clean_registry(self) -> str:
        return str(checked(check_registry, self.cleaned_data["registry"]))

    def clean_username(self) -> str:
        return _one_line(self.cleaned_data["username"])

    def clean_password(self) -> str:
        text = str(self.cleaned_data["password"])
        if "\0" in text:
            raise ValidationError("This holds a character that no password has.")
        return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValidationError("This has no control characters.")
    return text
