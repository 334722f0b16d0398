"""Mist's GitHub Apps, their installations, and asking GitHub in their name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Prefetch, Q, QuerySet

from apps.engine.data import EngineConfig
from apps.engine.egress import Rules
from apps.engine.egress_rules import egress_rules
from apps.engine.errors import CloneFailed
from apps.engine.github import GitHub
from apps.engine.github_errors import (
    GitHubAway,
    GitHubGone,
    GitHubKeyRefused,
    GitHubRefused,
    GitHubSuspended,
)
from apps.engine.github_facts import Repository, Token
from apps.engine.github_http import Asker
from apps.engine.github_key import AppKey
from apps.projects.models import App, Project
from apps.sources.models import GitHubApp, GitHubLink, Installation

LIST_AGE = 20.0
"""Seconds that a list to choose from may be old: as long as somebody types."""
CLONE_PATIENCE = 30.0
"""Seconds that a deployment waits for a GitHub that does not answer well."""


def rules_now() -> Rules:
    config: EngineConfig = settings.MIST_ENGINE_CONFIG
    return egress_rules(config)


def asker_of(api_url: str) -> Asker:
    """For what needs no App."""
    return Asker(api_url, rules_now())


def client_of(github_app: GitHubApp, **patience: Any) -> GitHub:
    """Asks GitHub as this App. `patience` as `Asker` has it. Raises `SecretsUnreadable`."""
    key = AppKey(github_app.api_url, github_app.app_id, github_app.private_key)
    return GitHub(key, rules_now(), **patience)


def github_apps() -> QuerySet[GitHubApp]:
    """With their installations, those with their projects and how many apps they have."""
    installations = (
        Installation.objects.filter(Q(removed_at=None) | ~Q(links=None))
        .annotate(app_count=Count("links", distinct=True))
        .prefetch_related(Prefetch("projects", Project.objects.order_by("slug")))
        .order_by("account")
    )
    apps = GitHubApp.objects.defer("client_secret", "private_key").select_related("created_by")
    return apps.order_by("name").prefetch_related(Prefetch("installations", installations))


def installations_open_to(project: Project) -> QuerySet[Installation]:
    """Those that the project's apps may take repositories from."""
    found = Installation.objects.filter(projects=project, suspended_at=None, removed_at=None)
    return found.select_related("github_app").order_by("account", "pk")


def repository_url(github_app: GitHubApp, full_name: str) -> str:
    return f"{github_app.html_url}/{full_name}.git"


@dataclass(frozen=True)
class Offer:
    """A repository that an app may be made of."""

    installation: Installation
    repository: Repository


def offers_of(installations: Iterable[Installation]) -> tuple[list[Offer], list[str]]:
    """All repositories that they have, by name, and why an account's are missing. Asks GitHub."""
    offers, problems = list[Offer](), list[str]()
    for installation in installations:
        try:
            client = client_of(installation.github_app)
            found = client.repositories(installation.installation_id, age=LIST_AGE)
        except (GitHubAway, GitHubRefused) as error:
            problems.append(f"{installation.account}: {error.sentence} {error.hint}".strip())
        else:
            offers += [Offer(installation, repository) for repository in found]
    return sorted(offers, key=lambda offer: offer.repository.full_name.lower()), problems


def matching(names: Iterable[str], query: str) -> list[str]:
    """The names that hold every word of the query, in any case and order."""
    words = query.lower().split()
    return [name for name in names if all(word in name.lower() for word in words)]


def link_of(app: App) -> GitHubLink | None:
    """Which repository of GitHub the app is."""
    links = GitHubLink.objects.filter(app=app.pk)
    return links.select_related("installation__github_app").first()


def clone_token(app: App) -> Token:
    """What opens the app's repository, and that one alone.

    It is made for nothing but the repository that was chosen, and not when its installation is not
    open to the project any more. Raises `CloneFailed`, `GitHubAway`, `SecretsUnreadable`.
    """
    link = link_of(app)
    if link is None:
        raise CloneFailed(
            "The app's repository on GitHub is not known any more: its GitHub App was deleted.",
            hint="Choose the repository again on the app's page Source, then deploy again.",
        )
    installation = link.installation
    if not installation.projects.filter(pk=app.project_id).exists():
        raise CloneFailed(
            f"The GitHub account {installation.account} is not open to the project any more.",
            hint="An admin of this Mist can open it on the page GitHub.",
        )
    try:
        client = client_of(installation.github_app, patience=CLONE_PATIENCE)
        return client.clone_token(installation.installation_id, link.repository_id)
    except GitHubRefused as error:
        raise _explained(error, link) from error


def _explained(error: GitHubRefused, link: GitHubLink) -> CloneFailed:
    account, github_app = link.installation.account, link.installation.github_app
    if isinstance(error, GitHubSuspended):
        sentence = f"The installation of the GitHub App {github_app} in {account} is suspended."
    elif isinstance(error, GitHubGone):
        sentence = f"The GitHub App {github_app} is not installed in {account} any more."
    elif isinstance(error, GitHubKeyRefused):
        sentence = f"GitHub does not know the GitHub App {github_app} any more."
    else:
        sentence = (
            f"The GitHub App {github_app} may not read {link.full_name}, or the repository is gone."
        )
    hint = error.hint or (
        f"On GitHub, let the App have the repository in the settings of {account}, "
        "then deploy again."
    )
    return CloneFailed(sentence, hint=hint, detail=error.sentence)
