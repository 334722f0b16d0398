"""The card Access on an app's page Source: what opens its repository, and whom it trusts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from apps.engine.known_hosts import HostKey, is_forge
from apps.engine.repository_place import Place, place_of
from apps.engine.sources import display_url
from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.credential_forms import TokenForm
from apps.sources.models import GitCredential, KnownHost

_KEY_PAGES = {
    "github.com": "https://github.com/{path}/settings/keys/new",
    "gitlab.com": "https://gitlab.com/{path}/-/settings/repository#js-deploy-keys-settings",
    "codeberg.org": "https://codeberg.org/{path}/settings/keys",
    "bitbucket.org": "https://bitbucket.org/{path}/admin/access-keys/",
}
_TOKEN_PAGES = {
    "github.com": "https://github.com/settings/personal-access-tokens/new",
    "gitlab.com": "https://gitlab.com/{path}/-/settings/access_tokens",
    "codeberg.org": "https://codeberg.org/user/settings/applications",
    "bitbucket.org": "https://bitbucket.org/{path}/admin/access-tokens",
}
"""Where a host lets one add a key, or make a token. Self-hosted ones have such pages, too, but what
they run is not to be seen from their address."""


@dataclass(frozen=True)
class KnownServer:
    """A server that somebody has confirmed for the project."""

    row: KnownHost
    """One of its keys."""
    keys: tuple[HostKey, ...]

    @property
    def name(self) -> str:
        return _shown(self.row.host, self.row.port)


def access_card(request: HttpRequest, app: App) -> dict[str, Any]:
    """What `partials/source_access.html` needs; nothing for an app that has no Git address."""
    if app.source_kind != SourceKind.GIT or not app.repository:
        return {}
    place = place_of(app.repository)
    servers = known_servers(app)
    named = {(server.row.host, server.row.port) for server in servers}
    credential = GitCredential.objects.filter(app=app).select_related("created_by").defer("secret")
    return {
        "credential": credential.first(),
        "place": place,
        "ssh_server": _shown(place.host, place.port) if place.scheme == "ssh" else "",
        "is_confirmed": (place.host, place.port) in named,
        "is_shipped": is_forge(place.host, place.port),
        "servers": servers,
        "key_page": _page(_KEY_PAGES, place, app.repository),
        "token_page": _page(_TOKEN_PAGES, place, app.repository),
        "ssh_address": _ssh_address(place, app.repository),
        "token_form": TokenForm(),
    }


def known_servers(app: App) -> list[KnownServer]:
    """Those of the app's project, by name."""
    found: dict[tuple[str, int], list[KnownHost]] = {}
    for row in KnownHost.objects.filter(project=app.project_id).select_related("confirmed_by"):
        found.setdefault((row.host, row.port), []).append(row)
    return [KnownServer(rows[0], _keys(rows)) for rows in found.values()]


def _keys(rows: Sequence[KnownHost]) -> tuple[HostKey, ...]:
    return tuple(HostKey(row.host, row.port, row.key_type, row.key) for row in rows)


def _shown(host: str, port: int) -> str:
    return host if port == 22 else f"{host}:{port}"


def _page(pages: dict[str, str], place: Place, repository: str) -> str:
    return pages.get(place.host, "").format(path=display_url(repository))


def _ssh_address(place: Place, repository: str) -> str:
    """What the repository's address over SSH most likely is; empty when it is one already."""
    if place.scheme == "ssh":
        return ""
    path = repository.partition("://")[2].partition("/")[2]
    return f"git@{place.host}:{path.removesuffix('.git')}.git"
