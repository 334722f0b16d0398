"""What people type to say what the proxy does with visitors: one form for each kind of rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from apps.domains.models import TrafficRules
from apps.engine.traffic_checks import (
    check_headers,
    check_networks,
    check_password,
    check_user,
)
from apps.projects.settings_forms import PLAIN, checked

MOST_REQUESTS, MOST_MB, MOST_MINUTES = 1_000_000, 1_000_000, 7 * 24 * 60
MAX_PAGE = 64 * 1024
PERIODS = ((1, "a second"), (60, "a minute"), (3600, "an hour"))
LINES = {**PLAIN, "rows": 3, "class": "textarea mono"}


def _number(label: str, about: str, most: int, **attrs: str) -> forms.IntegerField:
    rule = f"This is a whole number from 1 to {most}."
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=1,
        max_value=most,
        help_text=about,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), rule),
        widget=forms.TextInput(attrs={**PLAIN, "inputmode": "numeric", **attrs}),
    )


def _networks(label: str, about: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        help_text=about,
        widget=forms.Textarea(attrs={**LINES, "placeholder": "203.0.113.0/24"}),
    )


class RuleForm(forms.Form):
    """One kind of rules of `rules`. Its name, as `rule` in what is sent, says which it is."""

    rule: ClassVar[str]

    def __init__(self, rules: TrafficRules, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, auto_id=f"{self.rule}_%s", initial=self.shown(rules))

    def shown(self, rules: TrafficRules) -> dict[str, Any]:
        return {name: getattr(rules, name) for name in self.base_fields}

    def settings(self) -> dict[str, Any]:
        """As `rules_change` takes them."""
        return dict(self.cleaned_data)


class UserForm(RuleForm):
    """Somebody more who may come in, or another password of who may already."""

    rule = "user"

    name = forms.CharField(
        label="User",
        error_messages={"required": "Name the user, for example alice."},
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "alice"}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        error_messages={"required": "Give the user a password."},
        help_text="Mist keeps a hash of it, which nobody is shown.",
        widget=forms.PasswordInput(attrs={**PLAIN, "autocomplete": "new-password"}),
    )

    def shown(self, rules: TrafficRules) -> dict[str, Any]:
        return {}

    def clean_name(self) -> str:
        return str(checked(check_user, self.cleaned_data["name"]))

    def clean_password(self) -> str:
        return str(checked(check_password, self.cleaned_data["password"]))


class AllowedForm(RuleForm):
    rule = "allowed"

    allowed_networks = _networks(
        "Addresses", "One address or network a line, of IPv4 or IPv6. Empty: everybody."
    )

    def shown(self, rules: TrafficRules) -> dict[str, Any]:
        return {"allowed_networks": "\n".join(rules.allowed_networks)}

    def clean_allowed_networks(self) -> list[str]:
        return list(checked(check_networks, self.cleaned_data["allowed_networks"]))


class RateForm(RuleForm):
    rule = "rate"

    rate_average = _number(
        "Requests", "On average, of one address. Empty: no limit.", MOST_REQUESTS
    )
    rate_period_seconds = forms.TypedChoiceField(
        label="In", required=False, choices=PERIODS, coerce=int
    )
    rate_burst = _number("At once", "So many may come together. Empty: as many.", MOST_REQUESTS)

    def shown(self, rules: TrafficRules) -> dict[str, Any]:
        known = super().shown(rules)
        return known if rules.rate_average else known | {"rate_burst": None}

    def settings(self) -> dict[str, Any]:
        given = super().settings()
        return given | {"rate_burst": given["rate_burst"] or given["rate_average"] or 1}


class BodyForm(RuleForm):
    rule = "body"

    body_limit_mb = _number("Largest body", "Empty: no limit.", MOST_MB)


class HeadersForm(RuleForm):
    rule = "headers"

    headers = forms.CharField(
        label="Headers",
        required=False,
        help_text="Name: value, one a line. A name without a value takes the app's header away.",
        widget=forms.Textarea(attrs={**LINES, "placeholder": "X-Frame-Options: DENY"}),
    )

    def shown(self, rules: TrafficRules) -> dict[str, Any]:
        return {"headers": "\n".join(f"{name}: {value}".rstrip() for name, value in rules.headers)}

    def clean_headers(self) -> list[list[str]]:
        found: Iterable[tuple[str, str]] = checked(check_headers, self.cleaned_data["headers"])
        return [[name, value] for name, value in found]


class CompressionForm(RuleForm):
    rule = "compression"

    compresses = forms.BooleanField(
        label="Compress answers",
        required=False,
        help_text="Texts of 1 KB and more, for browsers that can read them so (gzip, Brotli, "
        "Zstandard). Streams of events, gRPC and what is compressed already stay as they are.",
    )


class MaintenanceForm(RuleForm):
    rule = "maintenance"

    maintenance = forms.BooleanField(
        label="Maintenance",
        required=False,
        help_text="Visitors get the page below with the status 503. The app runs on.",
    )
    maintenance_minutes = _number(
        "Come again after", "Told to browsers and crawlers.", MOST_MINUTES
    )
    maintenance_networks = _networks(
        "Who comes in all the same", "One address or network a line. Empty: nobody."
    )
    maintenance_page = forms.CharField(
        label="Page",
        required=False,
        help_text="HTML with its styles in it; scripts and forms do nothing. Empty: Mist's own.",
        widget=forms.Textarea(
            attrs={
                **LINES,
                "rows": 8,
                "class": "textarea mono min-h-36",
                "placeholder": "<h1>Back at noon</h1>",
            }
        ),
    )

    def shown(self, rules: TrafficRules) -> dict[str, Any]:
        return {
            "maintenance": rules.maintenance,
            "maintenance_minutes": max(1, rules.maintenance_seconds // 60),
            "maintenance_networks": "\n".join(rules.maintenance_networks),
            "maintenance_page": rules.maintenance_page,
        }

    def clean_maintenance_networks(self) -> list[str]:
        return list(checked(check_networks, self.cleaned_data["maintenance_networks"]))

    def clean_maintenance_page(self) -> str:
        page: str = self.cleaned_data["maintenance_page"]
        if len(page.encode()) > MAX_PAGE:
            raise ValidationError(f"The page has at most {MAX_PAGE // 1024} KB.")
        return page

    def settings(self) -> dict[str, Any]:
        given = super().settings()
        minutes = given.pop("maintenance_minutes") or 5
        return given | {"maintenance_seconds": minutes * 60}


FORMS: tuple[type[RuleForm], ...] = (
    UserForm,
    AllowedForm,
    RateForm,
    BodyForm,
    HeadersForm,
    CompressionForm,
    MaintenanceForm,
)


def rule_forms(rules: TrafficRules, data: Mapping[str, Any] | None = None) -> dict[str, RuleForm]:
    """All forms by their rule; the one that `data` is for has it."""
    sent = data.get("rule") if data is not None else None
    return {one.rule: one(rules, data if one.rule == sent else None) for one in FORMS}
