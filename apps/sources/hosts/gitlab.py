"""GitLab.

It lists 20 commits at most, says how many there were, and does not tell a forced push as one (see
`gitea`).
Source: GitLab Docs, "Webhook events": push events, tag events.
"""

from __future__ import annotations

from typing import Any

from apps.sources.hosts import reading
from apps.sources.hosts.reading import Event, EventKind
from apps.sources.planning import Push

KIND = "gitlab"
PUSHES = ("Push Hook", "Tag Push Hook")
SYSTEM = "System Hook"
"""Of an administrator, for a whole GitLab: what it is the body says."""
PUSHES_WITHIN = ("push", "tag_push")


def read(event: str, payload: dict[str, Any]) -> Event:
    """Raises `Malformed`."""
    within = reading.text(payload, "object_kind") or reading.text(payload, "event_name")
    if event not in PUSHES and not (event == SYSTEM and within in PUSHES_WITHIN):
        return Event(EventKind.OTHER, event)
    found = push(payload)
    return Event(EventKind.PUSH, event, () if found is None else (found,))


def push(payload: dict[str, Any]) -> Push | None:
    """None for what is neither a branch nor a tag."""
    named = reading.ref(payload)
    project = reading.within(payload, "project")
    where = reading.addresses(project, "git_http_url", "git_ssh_url", "web_url")
    gone = reading.commit(payload, "after") == ""
    # `after` of an annotated tag is the tag itself, `checkout_sha` its commit.
    commit = reading.commit(payload, "checkout_sha") or reading.commit(payload, "after")
    if named is None:
        return None
    head = _head(payload, commit)
    return Push(
        addresses=where,
        repository_id=reading.repository_id(KIND, where, payload.get("project_id")),
        kind=named[0],
        name=named[1],
        commit="" if gone else commit,
        author=reading.author(reading.maybe(head, "author")) or reading.text(payload, "user_name"),
        message=reading.text(head, "message"),
        url=reading.web_address(head, "url"),
        paths=_paths(payload),
    )


def _head(payload: dict[str, Any], commit: str) -> dict[str, Any]:
    """The commit itself: the last of the list."""
    for one in reversed(reading.listed(payload, "commits")):
        if isinstance(one, dict) and one.get("id") == commit:
            return one
    return {}


def _paths(payload: dict[str, Any]) -> frozenset[str] | None:
    commits = reading.listed(payload, "commits")
    total = payload.get("total_commits_count")
    if reading.is_new(payload) or not commits or total != len(commits):
        return None
    return reading.paths_of(commits)
