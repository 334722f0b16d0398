"""What people type to deploy something else than the branch."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError

from apps.engine.errors import InvalidSource
from apps.engine.sources import check_ref


class DeployForm(forms.Form):
    """What to deploy; the app's branch where nothing is named."""

    ref = forms.CharField(
        label="Branch, tag or commit",
        required=False,
        help_text="A commit is its 40 digits. Empty: the newest commit of the app's branch.",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "placeholder": "release/1.2",
            }
        ),
    )
    no_cache = forms.BooleanField(label="Build without the cache", required=False)

    def clean_ref(self) -> str:
        text: str = self.cleaned_data["ref"]
        try:
            return check_ref(text) if text else ""
        except InvalidSource as error:
            raise ValidationError(error.sentence) from error
