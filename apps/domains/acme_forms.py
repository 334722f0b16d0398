"""What people type about certificates: who issues them, and credentials of DNS providers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.domains.acme_models import AcmeSettings, DnsAccount
from apps.engine import acme
from apps.engine.dns_providers import PROVIDERS, DnsProvider, Variable
from apps.engine.sources import check_host_name
from apps.projects.settings_forms import PLAIN, checked

OWN = "own"
ISSUERS = (
    (acme.LETS_ENCRYPT, "Let's Encrypt"),
    (acme.LETS_ENCRYPT_STAGING, "Let's Encrypt, staging (browsers do not trust it)"),
    (OWN, "Another one"),
)
LIFETIMES = (
    (acme.USUAL_HOURS, "90 days or so"),
    (30 * 24, "30 to 89 days"),
    (6 * 24, "6 days, short-lived"),
    (24, "1 to 5 days"),
    (1, "Hours"),
)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]{16,400}={0,2}")
_SERVER = re.compile(r"(?:[a-z0-9.-]+|\[[0-9a-f:]+\]):[0-9]{1,5}")
_HIDDEN = {"autocomplete": "new-password", "maxlength": None}
KEEP = "Empty: stays what it is."


class AcmeForm(forms.Form):
    """The instance's settings of certificates."""

    is_on = forms.BooleanField(
        label="Get certificates by itself",
        required=False,
        help_text="For names that lead here. Off: no other name gets one; Traefik goes on to renew "
        "those that it has.",
    )
    issuer = forms.ChoiceField(label="Issuer", choices=ISSUERS)
    directory = forms.CharField(
        label="Address of its ACME directory",
        required=False,
        max_length=300,
        help_text="Of another issuer, also one of your own.",
        widget=forms.TextInput(
            attrs={
                **PLAIN,
                "inputmode": "url",
                "maxlength": None,
                "placeholder": "https://ca.example.com/acme/acme/directory",
            }
        ),
    )
    email = forms.CharField(
        label="Contact",
        required=False,
        max_length=254,
        help_text="The issuer may write to this mail address.",
        widget=forms.EmailInput(attrs={**PLAIN, "maxlength": None}),
    )
    lifetime_hours = forms.TypedChoiceField(
        label="Its certificates are valid for",
        choices=LIFETIMES,
        coerce=int,
        help_text="Each is renewed in good time before its end.",
    )
    challenge = forms.ChoiceField(
        label="Names are proven by",
        choices=AcmeSettings.Challenge.choices,
        help_text="Wildcards are proven by DNS, whatever stands here.",
    )
    eab_key_id = forms.CharField(
        label="EAB key ID",
        required=False,
        max_length=200,
        help_text="Where the issuer binds accounts to one that you have there.",
        widget=forms.TextInput(attrs={**PLAIN, "maxlength": None}),
    )
    eab_key = forms.CharField(
        label="EAB HMAC key",
        required=False,
        max_length=500,
        widget=forms.PasswordInput(attrs=_HIDDEN),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: AcmeSettings) -> None:
        known = row.directory in (acme.LETS_ENCRYPT, acme.LETS_ENCRYPT_STAGING)
        initial = {
            "is_on": row.is_on,
            "issuer": row.directory if known else OWN,
            "directory": "" if known else row.directory,
            "email": row.email,
            "lifetime_hours": row.lifetime_hours,
            "challenge": row.challenge,
            "eab_key_id": row.eab_key_id,
        }
        super().__init__(data, initial=initial)
        self._has_key = bool(row.eab_key)
        if self._has_key:
            self.fields["eab_key"].help_text = KEEP

    def clean_email(self) -> str:
        text = str(self.cleaned_data["email"])
        if text:
            validate_email(text)
        return text

    def clean_eab_key_id(self) -> str:
        text = str(self.cleaned_data["eab_key_id"])
        if not text.isprintable():
            raise ValidationError("This has no control characters.")
        return text

    def clean_eab_key(self) -> str:
        text = str(self.cleaned_data["eab_key"])
        if text and not _BASE64URL.fullmatch(text):
            raise ValidationError("This is base64url: letters, digits, - and _.")
        return text.rstrip("=")

    def clean_directory(self) -> str:
        text = str(self.cleaned_data["directory"])
        if self.data.get("issuer") != OWN:
            return text
        parts = urlsplit(text)
        plain = text.isascii() and text.isprintable() and " " not in text
        if parts.scheme != "https" or not parts.hostname or not plain:
            raise ValidationError("This is an https:// address.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValidationError("The address has neither a user nor a query.")
        return text

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        has_key = bool(given.get("eab_key")) or self._has_key
        if given.get("eab_key_id") and "eab_key" not in self.errors and not has_key:
            self.add_error("eab_key", "The key belongs to its ID.")
        if given.get("eab_key") and not given.get("eab_key_id"):
            self.add_error("eab_key_id", "The ID belongs to the key.")
        return given

    @property
    def settings(self) -> dict[str, Any]:
        """For `acme_save`."""
        given = dict(self.cleaned_data)
        issuer, own = given.pop("issuer"), given.pop("directory")
        given["directory"] = own if issuer == OWN else issuer
        given["eab_key"] = given["eab_key"] or None
        return given

    @property
    def has_advanced_errors(self) -> bool:
        """Whether a field is wrong that the page hides."""
        return any(name in self.errors for name in ("lifetime_hours", "eab_key_id", "eab_key"))


class ProviderForm(forms.Form):
    """Which provider credentials are to be added for."""

    provider = forms.ChoiceField(
        label="Provider", choices=[(one.code, one.name) for one in PROVIDERS.values()]
    )


class DnsAccountForm(forms.Form):
    """Credentials for one provider, and how its records are seen. A secret is never shown."""

    zones = forms.CharField(
        label="Domains",
        required=False,
        max_length=1_000,
        help_text="That are with this provider, apart by spaces. Empty: all.",
        widget=forms.TextInput(
            attrs={**PLAIN, "maxlength": None, "placeholder": "example.com example.org"}
        ),
    )
    servers = forms.CharField(
        label="DNS servers",
        required=False,
        max_length=300,
        help_text="That are asked whether the record is there. Empty: this machine's.",
        widget=forms.TextInput(attrs={**PLAIN, "maxlength": None, "placeholder": "192.0.2.53:53"}),
    )
    wait_seconds = forms.IntegerField(
        label="Wait before looking",
        required=False,
        min_value=0,
        max_value=3_600,
    )
    looks = forms.BooleanField(
        label="See that the record is there before the issuer looks",
        required=False,
        help_text="Leave it out where this server sees other records than the internet does.",
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        provider: DnsProvider,
        account: DnsAccount | None,
    ) -> None:
        kept = account.values if account else {}
        initial: dict[str, Any] = {"looks": True, "wait_seconds": 0}
        if account:
            names = ("zones", "servers", "wait_seconds", "looks")
            initial = {name: getattr(account, name) for name in names}
        super().__init__(data, initial=initial)
        self._provider = provider
        self._names = {one.name: _key(one) for one in provider.variables}
        for one in provider.variables:
            self.fields[_key(one)] = _field(one, kept.get(one.name, ""))

    @property
    def variables(self) -> list[tuple[Any, bool]]:
        """(field, whether it may be left empty), as the provider has them."""
        return [(self[_key(one)], not one.is_needed) for one in self._provider.variables]

    def clean_zones(self) -> str:
        text = str(self.cleaned_data["zones"]).replace(",", " ").lower()
        return " ".join(checked(check_host_name, one) for one in text.split())

    def clean_servers(self) -> str:
        found = str(self.cleaned_data["servers"]).replace(",", " ").lower().split()
        if not all(_SERVER.fullmatch(one) for one in found):
            raise ValidationError("Each is an address and a port, for example 192.0.2.53:53.")
        return " ".join(found)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        for key in self._names.values():
            if key in given and not given[key].isprintable():
                self.add_error(key, "This is one line.")
        return given

    @property
    def settings(self) -> dict[str, Any]:
        """For `dns_account_save`: a secret that was left empty stays what it is."""
        given = self.cleaned_data
        secret = {one.name for one in self._provider.variables if one.is_secret}
        values = {
            name: given[key]
            for name, key in self._names.items()
            if given[key] or name not in secret
        }
        return {
            "values": values,
            "zones": given["zones"],
            "servers": given["servers"],
            "wait_seconds": given["wait_seconds"] or 0,
            "looks": given["looks"],
        }


def _key(variable: Variable) -> str:
    return variable.name.lower()


def _field(variable: Variable, kept: str) -> forms.CharField:
    if variable.is_secret:
        return forms.CharField(
            label=variable.label,
            required=variable.is_needed and not kept,
            max_length=8_000,
            help_text=KEEP if kept else "",
            widget=forms.PasswordInput(attrs=_HIDDEN),
        )
    return forms.CharField(
        label=variable.label,
        required=variable.is_needed,
        max_length=500,
        initial=kept,
        widget=forms.TextInput(attrs={**PLAIN, "maxlength": None}),
    )
