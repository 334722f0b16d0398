"""What people type to deploy something else than the branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from apps.engine.errors import InvalidSource
from apps.engine.image_names import check_image_version
from apps.engine.sources import check_ref
from apps.projects.models import App


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

    def __init__(self, data: Mapping[str, Any] | None = None, *, app: App) -> None:
        super().__init__(data)
        self.app = app
        if not app.has_code:
            del self.fields["no_cache"]
            ref = self.fields["ref"]
            ref.label = "Tag or digest"
            ref.help_text = "A digest is sha256: and its 64 digits. Empty: the app's own."
            ref.widget.attrs["placeholder"] = "1.4"

    def clean_ref(self) -> str:
        text: str = self.cleaned_data["ref"]
        check = check_ref if self.app.has_code else check_image_version
        try:
            return check(text) if text else ""
        except InvalidSource as error:
            raise ValidationError(error.sentence) from error
