"""What each kind of host says of a push, and what Mist makes of it; whatever comes, it is an event or
a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from apps.sources.hosts import table
from apps.sources.hosts.reading import Event, EventKind, Malformed, json_in, read_json
from apps.sources.models import HostKind
from apps.sources.planning import Push, RefKind
from tests.sources.payloads import (
    FIRST,
    NONE,
    SECOND,
    bitbucket_change,
    bitbucket_push,
    gitea_push,
    github_push,
    gitlab_push,
    gitlab_tag,
)

WANTED = Push(
    addresses=(),
    kind=RefKind.BRANCH,
    name="main",
    commit=SECOND,
    author="Alice Halden",
    message="Add a cart\n\nWith wheels.",
    paths=frozenset({"services/web/main.py"}),
)
PLACE = "https://git.example.com/shop/web"


def read(kind: str, event: str, payload: dict[str, Any]) -> tuple[Push, ...]:
    found = table.read_event(kind, event, payload)
    assert found.kind is EventKind.PUSH
    return found.pushes


def one(kind: str, event: str, payload: dict[str, Any]) -> Push:
    [found] = read(kind, event, payload)
    return found


def test_github_tells_a_push() -> None:
    assert one("github", "push", github_push()) == replace(
        WANTED,
        addresses=(
            f"{PLACE}.git",
            "git@git.example.com:shop/web.git",
            PLACE,
            "git://git.example.com/shop/web.git",
        ),
        repository_id="github:git.example.com:17",
        message="Add a cart",
        url=f"{PLACE}/commit/{SECOND}",
        paths=frozenset({"Dockerfile"}),
    )


def test_gitea_tells_a_push() -> None:
    assert one("gitea", "push", gitea_push()) == replace(
        WANTED,
        addresses=(f"{PLACE}.git", "ssh://gitea@git.example.com:2222/shop/web.git", PLACE),
        repository_id="gitea:git.example.com:140",
        url=f"{PLACE}/commit/{SECOND}",
    )


def test_gitlab_tells_a_push() -> None:
    assert one("gitlab", "Push Hook", gitlab_push()) == replace(
        WANTED,
        addresses=(f"{PLACE}.git", "git@git.example.com:shop/web.git", PLACE),
        repository_id="gitlab:git.example.com:15",
        url=f"{PLACE}/-/commit/{SECOND}",
    )


def test_bitbucket_tells_a_push_without_its_files() -> None:
    assert one("bitbucket", "repo:push", bitbucket_push()) == replace(
        WANTED,
        addresses=(PLACE,),
        repository_id="bitbucket:git.example.com:{673a6070-3421-46c9-9d48-90745f7bfe8e}",
        url=f"{PLACE}/commits/{SECOND}",
        message="Add a cart",
        paths=None,
    )


def test_bitbucket_tells_several_branches_at_once() -> None:
    gone = bitbucket_change("old", new=None, closed=True)
    found = read(
        "bitbucket",
        "repo:push",
        bitbucket_push(bitbucket_change(), bitbucket_change("v1", "tag"), gone),
    )
    assert [(push.kind.value, push.name, push.commit) for push in found] == [
        ("branch", "main", SECOND),
        ("tag", "v1", SECOND),
        ("branch", "old", ""),
    ]


def test_an_annotated_tag_stands_for_its_commit() -> None:
    pushed = github_push(ref="refs/tags/v1", before=NONE, after=SECOND)
    pushed["after"] = FIRST  # the tag itself
    found = one("github", "push", pushed)
    assert (found.kind, found.name, found.commit) == (RefKind.TAG, "v1", SECOND)
    found = one("gitlab", "Tag Push Hook", gitlab_tag())
    assert (found.kind, found.name, found.commit) == (RefKind.TAG, "v1.0.0", SECOND)


def test_a_branch_that_is_gone_has_no_commit() -> None:
    assert one("github", "push", github_push(after=NONE)).commit == ""
    assert one("gitea", "push", gitea_push(after=NONE, commits=[], head_commit=None)).commit == ""
    assert one("gitlab", "Push Hook", gitlab_push(after=NONE, checkout_sha=None)).commit == ""


COMMIT = github_push()["head_commit"]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("github", github_push(before=NONE)),
        ("github", github_push(forced=True)),
        ("github", github_push(created=True)),
        ("github", github_push(commits=[])),
        ("github", github_push(commits=[COMMIT] * 2048)),
        ("github", github_push(paths=tuple(f"f{n}" for n in range(3000)))),
        ("github", github_push(commits=[{"id": SECOND}])),
        ("github", github_push(commits=[COMMIT | {"modified": []}])),
        ("gitea", gitea_push(total_commits=6)),
        ("gitea", gitea_push(before=NONE)),
        ("gitea", gitea_push(commits=[], total_commits=0)),
        ("gitlab", gitlab_push(total_commits_count=21)),
        ("gitlab", gitlab_push(before=NONE)),
        ("gitlab", gitlab_push(commits=None)),
    ],
)
def test_paths_are_unknown_where_the_host_does_not_tell_all(
    kind: str, payload: dict[str, Any]
) -> None:
    event = {"gitlab": "Push Hook"}.get(kind, "push")
    assert one(kind, event, payload).paths is None


@pytest.mark.parametrize(
    ("kind", "event", "wanted"),
    [
        ("github", "ping", EventKind.PING),
        ("github", "pull_request", EventKind.OTHER),
        ("github", "create", EventKind.OTHER),
        ("gitea", "create", EventKind.OTHER),
        ("gitlab", "Merge Request Hook", EventKind.OTHER),
        ("gitlab", "System Hook", EventKind.OTHER),
        ("bitbucket", "pullrequest:created", EventKind.OTHER),
        ("bitbucket", "diagnostics:ping", EventKind.PING),
    ],
)
def test_what_is_no_push_is_known_by_its_name(kind: str, event: str, wanted: EventKind) -> None:
    assert table.read_event(kind, event, {}) == Event(wanted, event)


def test_a_whole_gitlab_may_tell_of_pushes() -> None:
    assert one("gitlab", "System Hook", gitlab_push()).commit == SECOND


def test_notes_are_neither_branch_nor_tag() -> None:
    assert read("github", "push", github_push(ref="refs/notes/commits")) == ()


@pytest.mark.parametrize(
    ("kind", "event", "payload"),
    [
        ("github", "push", {}),
        ("github", "push", github_push(repository="") | {"repository": None}),
        ("github", "push", github_push() | {"repository": {}}),
        ("github", "push", github_push() | {"ref": None}),
        ("github", "push", github_push() | {"after": "abc"}),
        ("github", "push", github_push() | {"after": ["a" * 40]}),
        ("gitea", "push", gitea_push(repository=[])),
        ("gitlab", "Push Hook", gitlab_push(project=None)),
        ("bitbucket", "repo:push", bitbucket_push() | {"push": {"changes": None}}),
        ("bitbucket", "repo:push", bitbucket_push(bitbucket_change("")) ),
        ("bitbucket", "repo:push", bitbucket_push(bitbucket_change(new={"type": "branch", "name": "a"}))),
        ("github", "", github_push()),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(kind: str, event: str, payload: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=r"^[A-Z a].*\.$"):
        table.read_event(kind, event, payload)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:,x", "//x", "https://[", "x" * 600, 7]
)
def test_only_an_address_of_the_web_is_linked(url: object) -> None:
    pushed = github_push()
    pushed["head_commit"]["url"] = url
    assert one("github", "push", pushed).url == ""


def test_a_form_holds_the_same_message() -> None:
    text = json.dumps(github_push(message="Søster & co = 1+1"))
    form = urlencode({"payload": text}).encode()
    assert read_json(json_in("application/x-www-form-urlencoded", form)) == json.loads(text)


@pytest.mark.parametrize("kind", HostKind.values)
def test_a_delivery_is_called_what_the_host_calls_it(kind: str) -> None:
    names = table.HOSTS[kind].deliveries
    assert table.delivery_name(kind, {names[0]: " 72d3162e\n"}, b"") == "72d3162e"
    assert table.delivery_name(kind, {names[0]: "x" * 500}, b"") == "x" * 100
    assert table.delivery_name(kind, {}, b"") == ""


def test_an_older_gitlab_names_events_that_share_a_name() -> None:
    """Hooks that set each other off do."""
    headers = {"X-Gitlab-Event-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e"}
    first, second = (table.delivery_name("gitlab", headers, body) for body in (b"1", b"2"))
    assert first != second
    assert first == table.delivery_name("gitlab", headers, b"1")
    assert len(first) <= 100
