"""GitHub, and whatever else speaks its words.

Source: GitHub Docs, "Webhook events and payloads": ping, push.
"""

from __future__ import annotations

from typing import Any

from apps.sources.hosts import reading
from apps.sources.hosts.reading import Event, EventKind
from apps.sources.planning import Push

KIND = "github"
COMMITS_MAX = 2048
FILES_MAX = 3000
"""So many commits of a push, and files of a commit, GitHub lists at most."""


def read(event: str, payload: dict[str, Any]) -> Event:
    """Raises `Malformed`."""
    if event == "ping":
        return Event(EventKind.PING, event)
    if event != "push":
        return Event(EventKind.OTHER, event)
    found = push(payload)
    return Event(EventKind.PUSH, event, () if found is None else (found,))


def push(payload: dict[str, Any]) -> Push | None:
    """None for what is neither a branch nor a tag."""
    named = reading.ref(payload)
    repository = reading.within(payload, "repository")
    where = reading.addresses(repository, "clone_url", "ssh_url", "html_url", "git_url")
    commit = reading.commit(payload, "after")
    head = reading.maybe(payload, "head_commit")
    if named is None:
        return None
    if head and commit:
        # `after` of an annotated tag is the tag itself.
        commit = reading.commit(head, "id") or commit
    return Push(
        addresses=where,
        repository_id=reading.repository_id(KIND, where, repository.get("id")),
        kind=named[0],
        name=named[1],
        commit="" if payload.get("deleted") is True else commit,
        author=reading.author(reading.maybe(head, "author")),
        message=reading.text(head, "message"),
        url=reading.web_address(head, "url"),
        paths=_paths(payload),
    )


def _paths(payload: dict[str, Any]) -> frozenset[str] | None:
    commits = reading.listed(payload, "commits")
    unknown = payload.get("forced") is True or payload.get("created") is True
    if unknown or reading.is_new(payload) or not 0 < len(commits) < COMMITS_MAX:
        return None
    found = reading.paths_of(commits)
    return None if found is None or len(found) >= FILES_MAX else found
