"""Making GitHub Apps, opening their installations to projects, making apps of repositories."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core import signing
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.engine.github import convert_manifest
from apps.engine.github_address import GitHubAddress
from apps.engine.github_facts import FoundInstallation, Repository
from apps.projects.models import App, Project
from apps.projects.services import app_create, app_update
from apps.projects.source_models import SourceKind
from apps.sources.github import asker_of, client_of, repository_url
from apps.sources.manifest import making_url, manifest
from apps.sources.models import GitHubApp, GitHubLink, Installation, ManifestRequest

STATE_SECONDS = 3600
"""For as long GitHub's own code is good."""
_OF_APP = ("app_id", "html_url")


class StateRefused(Exception):
    """Whoever comes back from GitHub was not sent there from here, or has been back already."""


@dataclass(frozen=True)
class Begun:
    """What a browser takes to GitHub."""

    nonce: str = field(repr=False)
    """To be kept in the session: only it may come back."""
    making_url: str = field(repr=False)
    manifest: dict[str, object]


def github_app_begin(
    *, address: GitHubAddress, account: str, name: str, is_public: bool, by: User
) -> Begun:
    """Prepare an App of that (checked) GitHub, in the organisation `account` or, when that is
    empty, in whose account somebody makes it there."""
    nonce, public_id = secrets.token_urlsafe(24), secrets.token_urlsafe(16)
    with transaction.atomic():
        old = timezone.now() - dt.timedelta(seconds=STATE_SECONDS)
        ManifestRequest.objects.filter(created_at__lt=old).delete()
        row = ManifestRequest.objects.create(
            digest=_digest(nonce),
            user=by,
            html_url=address.html_url,
            api_url=address.api_url,
            public_id=public_id,
        )
        after = {"html_url": address.html_url, "account": account}
        record("github_app.begin", row, name=name, after=after)
    asked = manifest(name=name, public_id=public_id, is_public=is_public, address=address)
    state = _signer().sign(nonce)
    return Begun(nonce, making_url(address, account, state), asked)


def github_app_finish(*, state: str, code: str, nonces: Collection[str], by: User) -> GitHubApp:
    """Take over the App that GitHub has made, for the code that the browser came back with.

    The state is one that was signed here within the hour, that this person's own session (with its
    `nonces`) was given, and that was not used before: raises `StateRefused` otherwise, and what
    `Asker.ask` raises. It is used up in any case.
    """
    row = _taken_back(state, nonces, by)
    made = convert_manifest(code, asker=asker_of(row.api_url))
    with transaction.atomic():
        github_app = GitHubApp.objects.create(
            name=made.name,
            app_id=made.app_id,
            slug=made.slug,
            html_url=row.html_url,
            api_url=row.api_url,
            public_id=row.public_id,
            client_id=made.client_id,
            client_secret=made.client_secret,
            private_key=made.private_key,
            webhook_secret=made.webhook_secret,
            created_by=by,
        )
        record("github_app.create", github_app, after=facts(github_app, *_OF_APP))
    return github_app


def _taken_back(state: str, nonces: Collection[str], by: User) -> ManifestRequest:
    try:
        nonce = _signer().unsign(state, max_age=STATE_SECONDS)
    except signing.SignatureExpired:
        raise StateRefused("That was begun more than an hour ago. Begin again.") from None
    except signing.BadSignature:
        raise StateRefused("This did not begin here. Begin again on this page.") from None
    if nonce not in nonces:
        raise StateRefused("This began in another browser or session. Begin again in this one.")
    with transaction.atomic():
        row = ManifestRequest.objects.filter(digest=_digest(nonce), user=by).first()
        if row is None or not ManifestRequest.objects.filter(pk=row.pk).delete()[0]:
            raise StateRefused("This has been used already. Begin again to make another App.")
    return row


def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt="mist.github-manifest")


def _digest(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def github_app_delete(*, github_app: GitHubApp) -> None:
    """Forget the App with its keys and installations. At GitHub it stays until somebody deletes it
    there; apps made of its repositories run on and cannot be deployed."""
    with transaction.atomic():
        record("github_app.delete", github_app, before=facts(github_app, *_OF_APP))
        github_app.delete()


# --------------------------------------------------------------------------------- installations


def installations_sync(*, github_app: GitHubApp) -> int:
    """Ask GitHub where the App is installed, and keep that. Returns how many installations it has.
    Raises what `Asker.ask` does."""
    found = client_of(github_app).installations()
    with transaction.atomic():
        for one in found:
            installation_seen(github_app=github_app, found=one)
        known = github_app.installations.filter(removed_at=None)
        for gone in known.exclude(installation_id__in=[one.id for one in found]):
            installation_gone(installation=gone)
    return len(found)


def installation_seen(*, github_app: GitHubApp, found: FoundInstallation) -> Installation:
    """The installation is there and is so. In an account that had the App before and installs it
    again, projects and apps are those of before."""
    with transaction.atomic():
        mine = github_app.installations.select_for_update()
        row = mine.filter(installation_id=found.id).first()
        if row is None:
            again = mine.filter(account=found.account).exclude(removed_at=None)
            row = again.order_by("-pk").first()
        is_new = row is None or row.removed_at is not None
        row = row or Installation(github_app=github_app)
        was_suspended = row.suspended_at is not None
        row.installation_id, row.removed_at = found.id, None
        row.account, row.account_type = found.account, found.account_type
        row.suspended_at = found.suspended_at
        row.save()
        if is_new:
            record("installation.add", row)
        elif was_suspended is not (found.suspended_at is not None):
            record("installation.suspend" if found.suspended_at else "installation.resume", row)
    return row


def installation_gone(*, installation: Installation) -> None:
    """The account has the App no more. Its apps run on and cannot be deployed."""
    with transaction.atomic():
        gone = Installation.objects.filter(pk=installation.pk, removed_at=None)
        if gone.update(removed_at=timezone.now()):
            record("installation.remove", installation)


def installation_open(*, installation: Installation, projects: Iterable[Project]) -> None:
    """Let these projects, and no others, make apps of the installation's repositories."""
    with transaction.atomic():
        before = _names(installation.projects.all())
        installation.projects.set(projects)
        after = _names(installation.projects.all())
        if before != after:
            was, now = {"projects": before}, {"projects": after}
            record("installation.open", installation, before=was, after=now)


def _names(projects: Iterable[Project]) -> str:
    return ", ".join(sorted(project.slug for project in projects))


# ------------------------------------------------------------------------------------------ apps


def app_create_from_github(
    *,
    project: Project,
    installation: Installation,
    repository: Repository,
    created_by: User | None,
    **settings: Any,
) -> App:
    """As `app_create`, of a repository that the installation has. Raises `IntegrityError`."""
    with transaction.atomic():
        app = app_create(
            project=project,
            repository=repository_url(installation.github_app, repository.full_name),
            repository_id=str(repository.id),
            source_kind=SourceKind.GITHUB,
            created_by=created_by,
            **settings,
        )
        _link(app, installation, repository)
    return app


def app_link(*, app: App, installation: Installation, repository: Repository, branch: str) -> None:
    """From the next deployment on the app is that repository of GitHub."""
    with transaction.atomic():
        app_update(
            app=app,
            source_kind=SourceKind.GITHUB,
            repository=repository_url(installation.github_app, repository.full_name),
            repository_id=str(repository.id),
            branch=branch,
        )
        _link(app, installation, repository)


def _link(app: App, installation: Installation, repository: Repository) -> None:
    chosen = {
        "installation": installation,
        "repository_id": repository.id,
        "full_name": repository.full_name,
    }
    GitHubLink.objects.update_or_create(app=app, defaults=chosen)
