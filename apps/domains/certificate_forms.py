"""What people type to have names answered over HTTPS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from apps.engine.certificate_checks import CHAIN_MAX, KEY_MAX
from apps.engine.errors import CertificateRefused
from apps.projects.https_models import Hsts, OwnHttpsBy, Redirect, TlsMinimum
from apps.projects.models import App
from apps.projects.settings_forms import PLAIN


class _KeyText(forms.Textarea):
    """What was typed is not in the page that comes back."""

    def format_value(self, value: Any) -> str:
        return ""


class CertificateForm(forms.Form):
    """A certificate and its key: each as text, or as a file."""

    chain = forms.CharField(
        label="Certificate",
        required=False,
        help_text="The server's certificate, then those of the authorities that signed it.",
        widget=forms.Textarea(
            attrs={
                **PLAIN,
                "class": "textarea mono",
                "rows": 5,
                "placeholder": "-----BEGIN CERTIFICATE-----",
            }
        ),
    )
    chain_file = forms.FileField(
        label="Certificate as a file",
        required=False,
        widget=forms.FileInput(attrs={"class": "input", "accept": ".pem,.crt,.cer"}),
    )
    key = forms.CharField(
        label="Private key",
        required=False,
        help_text="Encrypted at rest, shown to nobody again.",
        widget=_KeyText(
            attrs={
                **PLAIN,
                "class": "textarea mono",
                "rows": 5,
                "placeholder": "-----BEGIN PRIVATE KEY-----",
            }
        ),
    )
    key_file = forms.FileField(
        label="Private key as a file",
        required=False,
        widget=forms.FileInput(attrs={"class": "input", "accept": ".pem,.key"}),
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        for name, most in (("chain", CHAIN_MAX), ("key", KEY_MAX)):
            file: UploadedFile[bytes] | None = given.get(f"{name}_file")
            try:
                given[name] = given.get(name, "") if file is None else _text_of(file, most)
            except ValidationError as error:
                self.add_error(name, error)
        if not self.errors and not given["chain"].strip():
            self.add_error("chain", "Paste the certificate, or choose its file.")
        if not self.errors and not given["key"].strip():
            self.add_error("key", "Paste its private key, or choose the key's file.")
        return given

    def refuse(self, error: CertificateRefused) -> None:
        """Say beside the field what is wrong with it."""
        self.add_error(error.field, " ".join(filter(None, [error.sentence, error.hint])))


def _text_of(file: UploadedFile[bytes], most: int) -> str:
    if (file.size or 0) > most:
        raise ValidationError(f"The file has more than {most // 1024} KB.")
    try:
        return str(file.read().decode())
    except UnicodeDecodeError as error:
        raise ValidationError("The file is not in PEM form, which is text.") from error


class HttpsForm(forms.Form):
    """How all names of an app are answered."""

    own_https = forms.ChoiceField(label="Its own name", required=False, choices=OwnHttpsBy.choices)
    https_redirect = forms.ChoiceField(
        label="Redirect to HTTPS",
        choices=Redirect.choices,
        help_text="Begins when a valid certificate is served, and ends when none is.",
    )
    tls_minimum = forms.ChoiceField(
        label="Minimum TLS version",
        choices=TlsMinimum.choices,
        help_text="Not for wildcards, which have this Mist's minimum: TLS 1.2.",
    )
    hsts_seconds = forms.TypedChoiceField(
        label="HSTS",
        choices=Hsts.choices,
        coerce=int,
        help_text="Binds: browsers that came by HTTPS refuse plain HTTP for so long, also after "
        "you turn it off, and while a certificate is invalid they cannot come at all.",
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, app: App) -> None:
        names = ("own_https", "https_redirect", "tls_minimum", "hsts_seconds")
        super().__init__(data, initial={name: getattr(app, name) for name in names})
