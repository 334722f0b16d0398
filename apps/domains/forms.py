"""What people type to add a host name."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError

from apps.engine.errors import InvalidSource
from apps.engine.sources import check_host_name


class DomainForm(forms.Form):
    """One more host name of an app."""

    host = forms.CharField(
        label="Domain",
        error_messages={"required": "Name the domain, for example shop.example.com."},
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "inputmode": "url",
                "placeholder": "shop.example.com",
                "class": "input w-56",
                "data-create": "",
            }
        ),
    )

    def clean_host(self) -> str:
        try:
            return check_host_name(self.cleaned_data["host"])
        except InvalidSource as error:
            raise ValidationError(" ".join(filter(None, [error.sentence, error.hint]))) from error
