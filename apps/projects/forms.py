"""What people type to make and change projects and apps. Commands use the same forms."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import CharField, QuerySet

from apps.engine import sources
from apps.projects.models import App, Project
from apps.projects.release_forms import PLAIN, ReleaseForm, checked

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


class AppForm(ReleaseForm):
    """A new app of `project`, or the settings of `instance` (whose name stays what it is)."""

    slug = forms.CharField(
        label="Name",
        error_messages={"required": "Give the app a name, for example web."},
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "web"}),
    )
    repository = forms.CharField(
        label="Git repository",
        error_messages={
            "required": "Say where the code is, for example https://github.com/owner/repository."
        },
        help_text="An address that needs no password, starting with https://, http:// or ssh://.",
        widget=forms.TextInput(
            attrs={
                **PLAIN,
                "inputmode": "url",
                "placeholder": "https://github.com/owner/repository",
            }
        ),
    )
    branch = forms.CharField(label="Branch", required=False, widget=forms.TextInput(attrs=PLAIN))
    root_directory = forms.CharField(
        label="Root directory",
        required=False,
        help_text="Where the app is in the repository. Empty: at its top.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "services/web"}),
    )
    dockerfile = forms.CharField(
        label="Dockerfile",
        required=False,
        help_text="Its path below the root directory.",
        widget=forms.TextInput(attrs=PLAIN),
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

    DEFAULTS: Mapping[str, object] = {
        name: getattr(App(), name)
        for name in (
            *("branch", "dockerfile", "health_path", "memory_mb", "cpus"),
            *ReleaseForm.base_fields,
        )
    }

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        project: Project,
        instance: App | None = None,
    ) -> None:
        names = list(self.base_fields)
        initial = {name: getattr(instance, name) for name in names} if instance else self.DEFAULTS
        super().__init__(data, initial=dict(initial))
        self.project, self.instance = project, instance
        self.show_defaults()
        if instance is not None:
            del self.fields["slug"]

    def settings(self) -> dict[str, Any]:
        """The checked settings, as `app_create` and `app_update` take them."""
        return dict(self.cleaned_data)

    @property
    def has_advanced_errors(self) -> bool:
        """Whether a field is wrong that the page hides behind "More settings"."""
        return any(name not in ("slug", "repository", "branch") for name in self.errors)

    def _short(self, name: str, value: str) -> str:
        """Raises `ValidationError` for more than the database keeps."""
        most = cast("CharField[str, str]", App._meta.get_field(name)).max_length or 0
        if len(value) > most:
            raise ValidationError(f"This has at most {most} characters.")
        return value

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

    def clean_repository(self) -> str:
        text = self.cleaned_data["repository"]
        return self._short("repository", checked(sources.check_repository_url, text))

    def clean_branch(self) -> str:
        return self._short("branch", checked(sources.check_ref, self.given("branch")))

    def clean_root_directory(self) -> str:
        text = self.cleaned_data["root_directory"]
        return self._short("root_directory", checked(sources.check_relative_path, text))

    def clean_dockerfile(self) -> str:
        path = checked(sources.check_relative_path, self.given("dockerfile"))
        if not path:
            raise ValidationError("Name the file, for example Dockerfile or deploy/Dockerfile.")
        return self._short("dockerfile", path)

    def clean_port(self) -> int | None:
        text = self.cleaned_data["port"]
        return checked(sources.check_port, text) if text else None

    def clean_health_path(self) -> str:
        return self._short(
            "health_path", checked(sources.check_health_path, self.given("health_path"))
        )

    def clean_memory_mb(self) -> int:
        return int(self.given("memory_mb"))

    def clean_cpus(self) -> Decimal:
        return Decimal(self.given("cpus"))
