"""What people type about GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings

from apps.engine.data import EngineConfig
from apps.engine.github_address import GITHUB_COM, GitHubAddress, check_account, check_github
from apps.projects.forms import AppForm
from apps.projects.models import App, Project
from apps.projects.settings_forms import PLAIN, checked
from apps.sources.manifest import NAME_MAX
from apps.sources.models import Installation


class GitHubAppForm(forms.Form):
    """A new GitHub App."""

    name = forms.CharField(
        label="Name",
        max_length=NAME_MAX,
        error_messages={
            "required": "Give the App a name, for example Mist of Halden.",
            "max_length": f"A GitHub App's name has at most {NAME_MAX} characters.",
        },
        help_text="No other GitHub App has the same. It can be changed on GitHub.",
        widget=forms.TextInput(attrs={**PLAIN, "maxlength": None}),
    )
    account = forms.CharField(
        label="Organisation",
        required=False,
        help_text="Whose App it is, for example halden. Empty: your own account there.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "halden"}),
    )
    server = forms.CharField(
        label="GitHub Enterprise address",
        required=False,
        help_text="Empty for github.com.",
        widget=forms.TextInput(
            attrs={**PLAIN, "inputmode": "url", "placeholder": "https://github.example.com"}
        ),
    )
    is_public = forms.BooleanField(
        label="Other accounts may install it",
        required=False,
        help_text="For repositories of several organisations. Each is opened to projects here.",
    )

    def clean_server(self) -> GitHubAddress:
        config: EngineConfig = settings.MIST_ENGINE_CONFIG
        text = self.cleaned_data["server"].strip()
        address = checked(lambda text: check_github(text, localhost=config.git_localhost), text)
        assert isinstance(address, GitHubAddress)
        return address

    def clean_account(self) -> str:
        text = self.cleaned_data["account"].strip()
        return str(checked(check_account, text)) if text else ""

    @property
    def address(self) -> GitHubAddress:
        """The GitHub that was chosen; github.com while there is no good choice."""
        found = getattr(self, "cleaned_data", {}).get("server")
        return found if isinstance(found, GitHubAddress) else GITHUB_COM


class OpenForm(forms.Form):
    """Which projects use an installation."""

    projects = forms.ModelMultipleChoiceField(Project.objects.order_by("slug"), required=False)

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, installation: Installation
    ) -> None:
        super().__init__(data)
        self.installation = installation


class RepositoryAppForm(AppForm):
    """A new app of a repository that was chosen on GitHub."""

    ASKED = ("slug", "branch", "root_directory", "dockerfile", "port")

    def __init__(self, data: Mapping[str, Any] | None = None, *, project: Project) -> None:
        super().__init__(data, project=project, part=self.ASKED)


class RepositoryForm(AppForm):
    """Another repository for an app that there is."""

    ASKED = ("branch",)

    def __init__(self, data: Mapping[str, Any] | None = None, *, app: App) -> None:
        super().__init__(data, project=app.project, instance=app, part=self.ASKED)
