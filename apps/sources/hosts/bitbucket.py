"""Bitbucket Cloud: one message for all branches and tags of a push. It never tells which files
changed, so every push counts for every app of its branch.

Source: Atlassian Support, "Event payloads": push.
"""

from __future__ import annotations

from typing import Any

from apps.sources.hosts import reading
from apps.sources.hosts.reading import Event, EventKind, Malformed
from apps.sources.planning import Push, RefKind

KIND = "bitbucket"
PUSH = "repo:push"
CHANGES_MAX = 100
_KINDS = {"branch": RefKind.BRANCH, "named_branch": RefKind.BRANCH, "tag": RefKind.TAG}


def read(event: str, payload: dict[str, Any]) -> Event:
    """Raises `Malformed`."""
    if event == "diagnostics:ping":
        return Event(EventKind.PING, event)
    if event != PUSH:
        return Event(EventKind.OTHER, event)
    repository = reading.within(payload, "repository")
    changes = reading.within(payload, "push").get("changes")
    if not isinstance(changes, list):
        raise Malformed("The push has no list of changes.")
    found = [_change(repository, one) for one in changes[:CHANGES_MAX]]
    return Event(EventKind.PUSH, event, tuple(push for push in found if push is not None))


def _change(repository: dict[str, Any], change: Any) -> Push | None:
    """None for what is neither a branch nor a tag."""
    if not isinstance(change, dict):
        raise Malformed("A change of the push is no object.")
    where = _addresses(repository)
    now = reading.maybe(change, "new")
    named = now or reading.maybe(change, "old")
    kind, name = _KINDS.get(reading.text(named, "type")), reading.text(named, "name")
    if kind is None:
        return None
    if not name:
        raise Malformed("A change of the push does not say what its branch or tag is called.")
    target = reading.maybe(now, "target")
    who = reading.maybe(target, "author")
    return Push(
        addresses=where,
        repository_id=reading.repository_id(KIND, where, repository.get("uuid")),
        kind=kind,
        name=name,
        commit=_commit(now, target),
        author=reading.text(reading.maybe(who, "user"), "display_name")
        or reading.text(who, "raw").partition("<")[0].strip(),
        message=reading.text(target, "message"),
        url=reading.web_address(reading.maybe(target, "links", "html"), "href"),
    )


def _commit(now: dict[str, Any], target: dict[str, Any]) -> str:
    """Raises `Malformed` when something is there whose commit is not told."""
    found = reading.commit(target, "hash")
    if now and not found:
        raise Malformed("The push does not say which commit is there now.")
    return found


def _addresses(repository: dict[str, Any]) -> tuple[str, ...]:
    page = reading.text(reading.maybe(repository, "links", "html"), "href")
    if not page:
        raise Malformed("The message does not say of which repository it is.")
    return (page,)
