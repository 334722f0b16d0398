"""What people type to lead a host name to an app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import QuerySet

from apps.domains.models import Domain
from apps.engine.routes import check_host_pattern, check_path_prefix
from apps.engine.sources import check_port
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from apps.projects.settings_forms import PLAIN, checked


class DomainForm(forms.Form):
    """One more host name of an app, or the settings of `instance`, whose name stays what it is."""

    host = forms.CharField(
        label="Domain",
        error_messages={"required": "Name the domain, for example shop.example.com."},
        help_text="*.example.com is every name directly below example.com.",
        widget=forms.TextInput(
            attrs={
                **PLAIN,
                "inputmode": "url",
                "placeholder": "shop.example.com",
                "data-create": "",
            }
        ),
    )
    path = forms.CharField(
        label="Path",
        required=False,
        help_text="Only this path and what is below it. Empty: everything.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "/api"}),
    )
    port = forms.CharField(
        label="Port",
        required=False,
        help_text="Another port of the app. Empty: the one it has in its settings.",
        widget=forms.TextInput(attrs={**PLAIN, "inputmode": "numeric", "placeholder": "9000"}),
    )
    strips_path = forms.BooleanField(
        label="Leave the path out",
        required=False,
        help_text="The app is asked for / where the visitor asked for the path.",
    )
    https = forms.ChoiceField(
        label="HTTPS",
        required=False,
        choices=HttpsBy.choices,
        help_text="Of the name: for all its paths.",
    )
    is_primary = forms.BooleanField(
        label="Primary name",
        required=False,
        help_text="Where visitors of names that redirect are sent on to.",
    )
    redirects = forms.BooleanField(
        label="Redirect to the primary name",
        required=False,
        help_text="For good (301), with path and query.",
    )

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, instance: Domain | None = None
    ) -> None:
        initial = {name: getattr(instance, name) for name in self.base_fields} if instance else {}
        super().__init__(data, initial=initial)
        if instance is not None:
            del self.fields["host"]

    def clean_host(self) -> str:
        return str(checked(check_host_pattern, self.cleaned_data["host"]))

    def clean_https(self) -> str:
        return self.cleaned_data["https"] or HttpsBy.AUTOMATIC.value

    def clean_path(self) -> str:
        return str(checked(check_path_prefix, self.cleaned_data["path"]))

    def clean_port(self) -> int | None:
        text = self.cleaned_data["port"]
        return int(checked(check_port, text)) if text else None

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.get("is_primary") and given.get("redirects"):
            self.add_error("redirects", "The primary name cannot redirect to itself.")
        if given.get("strips_path") and "path" not in self.errors and not given.get("path"):
            self.add_error("strips_path", "There is no path to leave out.")
        return given

    @property
    def has_advanced_errors(self) -> bool:
        """Whether a field is wrong that the page hides."""
        return any(name != "host" for name in self.errors)


class MoveForm(forms.Form):
    """To which app a name is moved, of those that the person may change."""

    to = forms.ModelChoiceField(
        label="App",
        queryset=App.objects.none(),
        empty_label="Choose an app",
        error_messages={"required": "Choose an app.", "invalid_choice": "Choose an app."},
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, apps: QuerySet[App]) -> None:
        super().__init__(data)
        field = self.fields["to"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = apps
