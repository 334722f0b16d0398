from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import InstanceRole, User
from apps.engine.github import pages
from apps.engine.github_tokens import tokens
from apps.projects.models import Membership, Project, ProjectRole
from apps.sources.models import GitHubApp, Installation
from tests.github.api import APP_ID, GitHubHost, app_pem
from tests.github.host import serve_github


@pytest.fixture
def github_host(tmp_path: Path) -> Iterator[GitHubHost]:
    tokens.clear()
    pages.clear()
    with serve_github(tmp_path / "github") as host:
        yield host


@pytest.fixture
def near(github_host: GitHubHost, settings: Settings) -> GitHubHost:
    """The same, for a Mist that may ask this machine."""
    config = settings.MIST_ENGINE_CONFIG
    settings.MIST_ENGINE_CONFIG = dataclasses.replace(config, git_localhost=True)
    settings.MIST_URL = "https://mist.example.com"
    return github_host


@pytest.fixture
def github_app(near: GitHubHost, alice: User) -> GitHubApp:
    return GitHubApp.objects.create(
        name="Mist of Halden",
        app_id=APP_ID,
        slug="mist-of-halden",
        html_url=near.url,
        api_url=near.api_url,
        public_id="public-id",
        client_id="Iv1",
        client_secret="client-secret",
        private_key=app_pem(),
        webhook_secret="webhook-secret",
        created_by=alice,
    )


@pytest.fixture
def halden(near: GitHubHost, github_app: GitHubApp, shop: Project) -> Installation:
    """The App in the account halden, open to the project shop."""
    near.install(1, "halden")
    made = Installation.objects.create(
        github_app=github_app, installation_id=1, account="halden", account_type="Organization"
    )
    made.projects.add(shop)
    return made


def member(project: Project, name: str, role: ProjectRole = ProjectRole.DEVELOPER) -> User:
    user = User.objects.create_user(
        f"{name}@example.com", name=name.capitalize(), role=InstanceRole.MEMBER
    )
    Membership.objects.create(project=project, user=user, role=role)
    return user
