"""What opens an app's repository, as the engine wants it."""

from __future__ import annotations

from urllib.parse import urlsplit

from apps.engine.data import GitAccess
from apps.engine.errors import CloneFailed
from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.github import clone_token, link_of, repository_url
from apps.sources.models import GitCredential, KnownHost

_USERNAMES = {"bitbucket.org": "x-token-auth"}
_USERNAME = "oauth2"
"""GitLab's name for it; GitHub, Gitea and Forgejo take any beside a token."""


def git_access(app: App) -> GitAccess:
    """The app's credential, the hosts that its project has confirmed, and what comes along.

    Of an app of GitHub: a token of its installation, made when there is none that lives for some
    time. Raises `SecretsUnreadable`, `CloneFailed`, `GitHubAway`.
    """
    if app.source_kind == SourceKind.GITHUB:
        return _github_access(app)
    credential = GitCredential.objects.filter(app=app).first()
    token = key = username = ""
    if credential is not None and credential.kind == GitCredential.Kind.TOKEN:
        token = credential.secret
        username = credential.username or default_username(app.repository)
    elif credential is not None:
        key = credential.secret
    return GitAccess(
        username=username,
        password=token,
        ssh_key=key,
        known_hosts=known_hosts_of(app),
        submodules=app.has_submodules,
        lfs=app.has_lfs,
    )


def _github_access(app: App) -> GitAccess:
    token, link = clone_token(app), link_of(app)
    if link is None or app.repository != repository_url(
        link.installation.github_app, link.full_name
    ):
        # The token would go to whatever host the address names.
        raise CloneFailed(
            "The app's address is not that of the repository that was chosen on GitHub.",
            hint="Choose the repository again on the app's page Source, then deploy again.",
        )
    return GitAccess(
        username="x-access-token",
        password=token.text,
        known_hosts=known_hosts_of(app),
        submodules=app.has_submodules,
        lfs=app.has_lfs,
    )


def default_username(repository: str) -> str:
    """What the host wants beside a token when nobody said."""
    return _USERNAMES.get(urlsplit(repository).hostname or "", _USERNAME)


def known_hosts_of(app: App) -> tuple[str, ...]:
    """The confirmed keys of the app's project, as lines of a known_hosts file."""
    return tuple(line_of(row) for row in KnownHost.objects.filter(project=app.project_id))


def line_of(row: KnownHost) -> str:
    name = row.host if row.port == 22 else f"[{row.host}]:{row.port}"
    return f"{name} {row.key_type} {row.key}"
