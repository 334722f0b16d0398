"""The kinds of Git hosts side by side: what reads each, and which headers name a message."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.sources.hosts import bitbucket, gitea, github, gitlab, reading
from apps.sources.hosts.reading import Event, Malformed
from apps.sources.models import HostKind

NAME_MAX = 100


@dataclass(frozen=True)
class Host:
    read: Callable[[str, dict[str, Any]], Event]
    """The event's name and the message → what it says. Raises `Malformed`."""
    events: tuple[str, ...]
    """Headers that may name the event."""
    deliveries: tuple[str, ...]
    """Headers that may name the delivery, the same at every redelivery."""


HOSTS: dict[str, Host] = {
    HostKind.GITHUB: Host(github.read, ("X-GitHub-Event",), ("X-GitHub-Delivery",)),
    HostKind.GITEA: Host(
        gitea.read,
        ("X-Gitea-Event", "X-Forgejo-Event", "X-Gogs-Event"),
        ("X-Gitea-Delivery", "X-Forgejo-Delivery", "X-Gogs-Delivery"),
    ),
    HostKind.GITLAB: Host(gitlab.read, ("X-Gitlab-Event",), ("Idempotency-Key",)),
    HostKind.BITBUCKET: Host(bitbucket.read, ("X-Event-Key",), ("X-Request-UUID",)),
}
_GITLAB_EVENT = "X-Gitlab-Event-UUID"


def event_name(kind: str, headers: Mapping[str, str]) -> str:
    """Empty where there is none."""
    return _first(headers, HOSTS[kind].events)


def delivery_name(kind: str, headers: Mapping[str, str], body: bytes) -> str:
    """Empty where there is none."""
    found = _first(headers, HOSTS[kind].deliveries)
    if not found and kind == HostKind.GITLAB and (event := _first(headers, (_GITLAB_EVENT,))):
        # Before it sent a key. Hooks that set each other off share this one: with the body it
        # names one delivery all the same.
        found = f"{event[:60]} {hashlib.sha256(body).hexdigest()[:24]}"
    return found


def read_event(kind: str, event: str, payload: dict[str, Any]) -> Event:
    """Raises `Malformed`."""
    if not event:
        raise Malformed(f"The message has no header {HOSTS[kind].events[0]}.")
    return HOSTS[kind].read(event, payload)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    found = next((headers[name] for name in names if headers.get(name)), "")
    return "".join(one for one in reading.plain(found) if one.isprintable())[:NAME_MAX].strip()
