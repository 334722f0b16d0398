"""Forms of hooks and deliveries."""

from __future__ import annotations

from django import forms

from apps.sources.models import Delivery

PLAIN = {"class": "input", "autocomplete": "off", "spellcheck": "false"}


class DeployHookForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="Who uses it, for example Nightly build.",
        widget=forms.TextInput(attrs=PLAIN),
    )

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not name.isprintable():
            raise forms.ValidationError("A name has no control characters, as Nightly build.")
        return name


class OutcomeForm(forms.Form):
    """Which deliveries are listed."""

    outcome = forms.ChoiceField(choices=Delivery.Outcome.choices, required=False)
