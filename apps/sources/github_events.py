"""What GitHub tells a GitHub App besides pushes: where it is installed, and how repositories are
called. Whoever calls this has checked the signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.engine.github_errors import GitHubAway
from apps.engine.github_facts import as_expected, is_full_name, read_installation
from apps.sources.github_services import installation_gone, installation_seen
from apps.sources.models import GitHubApp
from apps.sources.renaming import repository_named

_BIGGEST = 2**63


def github_told(*, github_app: GitHubApp, event: str, payload: Mapping[str, Any]) -> str:
    """Take it up; returns what was done, in words, empty when the event says nothing of this. Only
    writes rows, and raises nothing for a payload of another form."""
    if event == "installation":
        return _installation(github_app, payload)
    if event == "installation_repositories":
        # Lists of repositories are asked for when somebody looks at one.
        return "noted which repositories GitHub lets Mist see"
    return _name(github_app, payload.get("repository"))


def _installation(github_app: GitHubApp, payload: Mapping[str, Any]) -> str:
    try:
        with as_expected():
            found = read_installation(payload["installation"])
            if not 0 < found.id < _BIGGEST:
                raise ValueError
    except GitHubAway:
        return ""
    known = github_app.installations.filter(installation_id=found.id).first()
    if payload.get("action") == "deleted":
        if known is not None:
            installation_gone(installation=known)
        return f"the installation in {found.account} is gone"
    if known is not None and known.removed_at is not None:
        # Older than the news that it is gone: GitHub uses no number twice.
        return f"the installation in {found.account} was gone already"
    installation_seen(github_app=github_app, found=found)
    state = "suspended" if found.suspended_at else "there"
    return f"the installation in {found.account} is {state}"


def _name(github_app: GitHubApp, repository: Any) -> str:
    if not isinstance(repository, Mapping):
        return ""
    number, name = repository.get("id"), repository.get("full_name")
    if type(number) is not int or not 0 < number < _BIGGEST or not isinstance(name, str):
        return ""
    if not is_full_name(name):
        return ""
    renamed = repository_named(github_app=github_app, repository_id=number, name=name)
    return "\n".join(f"{app} follows the repository to {name}" for app in renamed)
