"""What people type to make and change projects and apps. Commands use the same forms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from apps.engine import sources
from apps.projects.models import App, Project
from apps.projects.release_forms import ReleaseForm
from apps.projects.settings_forms import PLAIN, checked
from apps.projects.source_forms import SourceForm

RESERVED_NAMES = frozenset({"mist", "traefik"})
MEMORY_MB = (16, 1024 * 1024)
CPUS = (Decimal("0.1"), Decimal(256))


class ProjectForm(forms.Form):
    """A new project."""

    slug = forms.CharField(
        label="Name",
        max_length=200,
        error_messages={"required": "Give the project a name, for example shop."},
        help_text="Lower-case letters, digits and '-'. It is part of its apps' addresses.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "shop", "maxlength": None}),
    )

    def clean_slug(self) -> str:
        slug: str = checked(sources.check_name, self.cleaned_data["slug"])
        if slug in RESERVED_NAMES:
            raise ValidationError(f"Mist keeps the name {slug} for itself. Choose another one.")
        if Project.objects.filter(slug=slug).exists():
            raise ValidationError(f"There is a project {slug} already. Choose another name.")
        return slug


class AppForm(SourceForm, ReleaseForm):
    """A new app of `project`, or the settings of `instance` (whose name stays what it is).

    A page that shows a part of the settings says which, `SOURCE` or `RUN`: the others stay.
    """

    SOURCE = tuple(SourceForm.base_fields)

    slug = forms.CharField(
        label="Name",
        error_messages={"required": "Give the app a name, for example web."},
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "web"}),
    )
    port = forms.CharField(
        label="Port",
        required=False,
        help_text="Where the app listens. Empty: the port that the Dockerfile EXPOSEs.",
        widget=forms.TextInput(attrs={**PLAIN, "inputmode": "numeric", "placeholder": "8000"}),
    )
    health_path = forms.CharField(
        label="Health check path",
        required=False,
        help_text="What the HTTP health check asks for.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    memory_mb = forms.IntegerField(
        label="Memory limit",
        required=False,
        min_value=MEMORY_MB[0],
        max_value=MEMORY_MB[1],
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"),
            f"Memory is a whole number of MB from {MEMORY_MB[0]} to {MEMORY_MB[1]}, "
            "for example 512.",
        ),
        widget=forms.TextInput(attrs={**PLAIN, "inputmode": "numeric"}),
    )
    cpus = forms.DecimalField(
        label="CPU limit",
        required=False,
        min_value=CPUS[0],
        max_value=CPUS[1],
        decimal_places=2,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value", "max_decimal_places"),
            f"CPU is a number of cores from {CPUS[0]} to {CPUS[1]}, for example 0.5 or 2.",
        ),
        widget=forms.TextInput(attrs={**PLAIN, "inputmode": "decimal"}),
    )

    RUN = (*ReleaseForm.base_fields, "port", "health_path", "memory_mb", "cpus")
    DEFAULTS: Mapping[str, object] = {
        name: getattr(App(), name)
        for name in (
            *("health_path", "memory_mb", "cpus"),
            *SourceForm.base_fields,
            *ReleaseForm.base_fields,
        )
    }

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        project: Project,
        instance: App | None = None,
        part: Collection[str] | None = None,
    ) -> None:
        names = list(self.base_fields)
        initial = {name: getattr(instance, name) for name in names} if instance else self.DEFAULTS
        super().__init__(data, initial=dict(initial))
        self.project, self.instance = project, instance
        self.show_defaults()
        self.show_source()
        if instance is not None:
            del self.fields["slug"]
        for name in set(self.fields).difference(self.fields if part is None else part):
            del self.fields[name]

    def settings(self) -> dict[str, Any]:
        """The checked settings, as `app_create` and `app_update` take them."""
        return dict(self.cleaned_data)

    @property
    def has_advanced_errors(self) -> bool:
        """Whether a field is wrong that the page hides behind "More settings"."""
        shown = ("slug", "source_kind", "repository", "branch", "image_name")
        return any(name not in shown for name in self.errors)

    def clean_slug(self) -> str:
        slug: str = checked(sources.check_name, self.cleaned_data["slug"])
        taken: QuerySet[App] = App.objects.filter(project=self.project, slug=slug)
        if (app := taken.first()) is not None:
            raise ValidationError(
                f"{app} is being deleted. Try again in a moment, or choose another name."
                if app.deleted_at
                else f"{self.project} has an app {slug} already. Choose another name."
            )
        return slug

    def clean_port(self) -> int | None:
        text = self.cleaned_data["port"]
        return checked(sources.check_port, text) if text else None

    def clean_health_path(self) -> str:
        return self.short(
            "health_path", checked(sources.check_health_path, self.given("health_path"))
        )

    def clean_memory_mb(self) -> int:
        return int(self.given("memory_mb"))

    def clean_cpus(self) -> Decimal:
        return Decimal(self.given("cpus"))
