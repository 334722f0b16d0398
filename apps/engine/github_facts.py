"""What GitHub says, as data: read from answers that may hold anything."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.engine.github_errors import GitHubAway

_FULL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True)
class NewApp:
    """A GitHub App that GitHub has just made from a manifest, with its secrets."""

    app_id: int
    name: str
    slug: str
    client_id: str
    client_secret: str = field(repr=False)
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    """Empty for one without a webhook."""


@dataclass(frozen=True)
class FoundInstallation:
    """The app in one account."""

    id: int
    account: str
    account_type: str
    """`User` or `Organization`."""
    suspended_at: dt.datetime | None


@dataclass(frozen=True)
class Repository:
    id: int
    full_name: str
    """`owner/name`"""
    default_branch: str
    is_private: bool


@dataclass(frozen=True)
class Token:
    """Acts for one installation."""

    text: str = field(repr=False)
    expires_at: dt.datetime
    full_name: str = ""
    """What the repository is called now, where the token is for one alone."""


@contextlib.contextmanager
def as_expected() -> Iterator[None]:
    """An answer of another form raises `GitHubAway`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GitHubAway(
            "GitHub answered something that Mist does not understand.",
            hint="Check the address of GitHub, then try again.",
        ) from error


def read_new_app(data: Any) -> NewApp:
    return NewApp(
        app_id=int(data["id"]),
        name=str(data["name"])[:100],
        slug=_matched(_SLUG, data["slug"]),
        client_id=str(data["client_id"])[:100],
        client_secret=str(data["client_secret"]),
        private_key=str(data["pem"]),
        webhook_secret=str(data.get("webhook_secret") or ""),
    )


def read_installation(data: Any) -> FoundInstallation:
    suspended = data.get("suspended_at")
    return FoundInstallation(
        id=int(data["id"]),
        account=str(data["account"].get("login") or data["account"].get("slug"))[:100],
        account_type=str(data.get("target_type") or "")[:20],
        suspended_at=_time(suspended) if suspended else None,
    )


def read_repository(data: Any) -> Repository:
    return Repository(
        id=int(data["id"]),
        full_name=_matched(_FULL_NAME, data["full_name"]),
        default_branch=str(data.get("default_branch") or "main")[:250],
        is_private=bool(data.get("private", True)),
    )


def read_token(data: Any) -> Token:
    of = data.get("repositories") or []
    name = _matched(_FULL_NAME, of[0]["full_name"]) if len(of) == 1 else ""
    return Token(str(data["token"]), _time(data["expires_at"]), name)


def is_full_name(text: str) -> bool:
    return _FULL_NAME.fullmatch(text) is not None


def _matched(pattern: re.Pattern[str], text: Any) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError
    return str(text)


def _time(text: str) -> dt.datetime:
    """Raises `ValueError` for one without a time zone, too: it could not be compared."""
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError
    return found
