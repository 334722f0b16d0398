"""What people type to choose names of Mist."""

from __future__ import annotations

from typing import Any

from django import forms

PLAIN = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false", "inputmode": "url"}


class BaseDomainForm(forms.Form):
    """Empty for the one that Mist finds by itself."""

    base_domain = forms.CharField(
        label="Base domain",
        required=False,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "apps.example.com"}),
        help_text="Each app's own name is directly below it. Empty: the one that Mist finds by "
        "itself.",
    )

    def refuse(self, field: str, error: Any) -> None:
        """Show an `EngineError` beside the field."""
        self.add_error(field, " ".join(filter(None, [error.sentence, error.hint])))
