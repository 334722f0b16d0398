"""What Mist asks GitHub for when it makes a GitHub App, and where. Nothing here asks anybody.

GitHub: "Registering a GitHub App from a manifest".
"""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from django.urls import reverse

from apps.engine.github import PERMISSIONS
from apps.engine.github_address import GITHUB_COM, GitHubAddress, is_reachable
from apps.sources.models import GitHubApp
from apps.system.planning import dashboard_url

NAME_MAX = 34
"""Characters of an App's name, by GitHub's rule."""
EVENTS = ("push",)
"""Beside news of installations, which every App gets."""


def manifest(
    *, name: str, public_id: str, is_public: bool, address: GitHubAddress
) -> dict[str, object]:
    """The smallest App that does what Mist needs. Without a webhook where GitHub cannot reach this
    Mist: it would not make one that it cannot reach."""
    here = dashboard_url()
    found: dict[str, object] = {
        "name": name,
        "url": here,
        "redirect_url": f"{here}{reverse('github_made')}",
        "setup_url": f"{here}{reverse('github_installed', args=[public_id])}",
        "setup_on_update": True,
        "public": is_public,
        "default_permissions": dict(PERMISSIONS),
    }
    if can_hear(address):
        found["hook_attributes"] = {"url": hook_url(public_id), "active": True}
        found["default_events"] = list(EVENTS)
    return found


def hook_url(public_id: str) -> str:
    return f"{dashboard_url()}/hooks/github-app/{public_id}"


def can_hear(address: GitHubAddress) -> bool:
    """Whether that GitHub can reach this Mist, as far as its own address says."""
    host = urlsplit(dashboard_url()).hostname or ""
    return is_reachable(host, from_internet=address == GITHUB_COM or _is_cloud(address))


def making_url(address: GitHubAddress, account: str, state: str) -> str:
    """Where a browser sends the manifest; `account` is an organisation, or empty for who is
    logged in there."""
    path = f"/organizations/{quote(account)}/settings/apps/new" if account else "/settings/apps/new"
    return f"{address.html_url}{path}?{urlencode({'state': state})}"


def page_url(github_app: GitHubApp) -> str:
    """The App's own page at GitHub."""
    address = GitHubAddress(github_app.html_url, github_app.api_url)
    apps = "apps" if address == GITHUB_COM or _is_cloud(address) else "github-apps"
    return f"{github_app.html_url}/{apps}/{github_app.slug}"


def install_url(github_app: GitHubApp) -> str:
    """Where somebody installs it in an account."""
    return f"{page_url(github_app)}/installations/new"


def _is_cloud(address: GitHubAddress) -> bool:
    return address.host.endswith(".ghe.com")
