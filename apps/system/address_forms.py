"""What people type to choose names of Mist."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.projects.https_models import HttpsBy

PLAIN = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false", "inputmode": "url"}


class NameForm(forms.Form):
    """A name whose fault is told beside it."""

    def refuse(self, field: str, error: Any) -> None:
        """Show an `EngineError` beside the field."""
        self.add_error(field, " ".join(filter(None, [error.sentence, error.hint])))


class BaseDomainForm(NameForm):
    """Empty for the one that Mist finds by itself."""

    base_domain = forms.CharField(
        label="Base domain",
        required=False,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "apps.example.com"}),
        help_text="Each app's own name is directly below it. Empty: the one that Mist finds by "
        "itself.",
    )


class DashboardNameForm(NameForm):
    """Empty for none."""

    host = forms.CharField(
        label="Name",
        required=False,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "mist.example.com"}),
        help_text="Its DNS record leads to this server, as those of apps do. Empty: none.",
    )
    https = forms.ChoiceField(
        label="HTTPS",
        required=False,
        choices=[one for one in HttpsBy.choices if one[0] != HttpsBy.OWN],
        help_text="Visitors are sent on to HTTPS once a certificate that browsers know is served.",
    )

    def clean_https(self) -> HttpsBy:
        return HttpsBy(self.cleaned_data["https"] or HttpsBy.AUTOMATIC)
