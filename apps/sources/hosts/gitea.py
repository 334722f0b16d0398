"""Gitea and Forgejo: GitHub's words with a total of commits, of which it lists a few.

A forced push is not told as one. Commits that it took away change what the app is built from as
well; where the commits it brought touch nothing of the app's, they are missed.
Source: Gitea Documentation, "Webhooks"; Forgejo, `modules/structs/hook.go`.
"""

from __future__ import annotations

from typing import Any

from apps.sources.hosts import reading
from apps.sources.hosts.reading import Event, EventKind
from apps.sources.planning import Push

KIND = "gitea"


def read(event: str, payload: dict[str, Any]) -> Event:
    """Raises `Malformed`."""
    if event != "push":
        return Event(EventKind.OTHER, event)
    found = push(payload)
    return Event(EventKind.PUSH, event, () if found is None else (found,))


def push(payload: dict[str, Any]) -> Push | None:
    """None for what is neither a branch nor a tag."""
    named = reading.ref(payload)
    repository = reading.within(payload, "repository")
    where = reading.addresses(repository, "clone_url", "ssh_url", "html_url")
    commit = reading.commit(payload, "after")
    if named is None:
        return None
    head = reading.maybe(payload, "head_commit") or _listed(payload, commit)
    return Push(
        addresses=where,
        repository_id=reading.repository_id(KIND, where, repository.get("id")),
        kind=named[0],
        name=named[1],
        commit=commit,
        author=reading.author(reading.maybe(head, "author")),
        message=reading.text(head, "message"),
        url=reading.web_address(head, "url"),
        paths=_paths(payload),
    )


def _listed(payload: dict[str, Any], commit: str) -> dict[str, Any]:
    """The commit itself, from the list of them."""
    for one in reading.listed(payload, "commits"):
        if isinstance(one, dict) and one.get("id") == commit:
            return one
    return {}


def _paths(payload: dict[str, Any]) -> frozenset[str] | None:
    commits = reading.listed(payload, "commits")
    total = payload.get("total_commits")
    if reading.is_new(payload) or not commits or total != len(commits):
        return None
    return reading.paths_of(commits)
