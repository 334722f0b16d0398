"""Whatever a message holds: it is an event or a sentence, never a failure."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.sources.hosts import table
from apps.sources.hosts.reading import Malformed, json_in, read_json
from tests.sources.payloads import (
    NONE,
    SECOND,
    bitbucket_push,
    gitea_push,
    github_push,
    gitlab_push,
    gitlab_tag,
)

PARTS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
)
JSON = st.recursive(
    PARTS | st.sampled_from([NONE, SECOND, "refs/heads/main", "refs/tags/", "\ud800", "a\x00b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
MESSAGES = [
    ("github", "push", github_push()),
    ("gitea", "push", gitea_push()),
    ("gitlab", "Push Hook", gitlab_push()),
    ("gitlab", "Tag Push Hook", gitlab_tag()),
    ("bitbucket", "repo:push", bitbucket_push()),
]


def places(thing: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a message something may be another thing."""
    inner = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()  # fmt: skip
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


def changed(thing: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = dict(thing) if isinstance(thing, dict) else list(thing)
    copy[place[0]] = changed(thing[place[0]], place[1:], value)
    return copy


@st.composite
def twisted(draw: st.DrawFn) -> tuple[str, str, Any]:
    """A message of a host with one or two things in it that are none of its kind."""
    kind, event, payload = draw(st.sampled_from(MESSAGES))
    for _ in range(draw(st.integers(1, 2))):
        if isinstance(payload, dict):
            payload = changed(
                payload, draw(st.sampled_from(places(payload)[1:] or [()])), draw(JSON)
            )
    return kind, event, payload


@settings(max_examples=400)
@given(twisted())
@example(("github", "push", github_push(message="\ud800 \x00")))
def test_no_message_makes_a_reader_fail(message: tuple[str, str, Any]) -> None:
    kind, event, payload = message
    if not isinstance(payload, dict):
        return
    try:
        found = table.read_event(kind, event, payload)
    except Malformed as error:
        assert str(error).endswith(".")
        return
    for push in found.pushes:
        assert push.addresses and push.name
        assert push.commit == "" or len(push.commit) == 40
        texts = [
            push.name,
            push.author,
            push.message,
            push.url,
            push.repository_id,
            *push.addresses,
        ]
        for text in [*texts, *(push.paths or ())]:
            assert "\x00" not in text
            text.encode()


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(["application/json", "application/x-www-form-urlencoded", "", "text/plain; x"]))  # fmt: skip
@example(b"payload=%7B%7D", "application/x-www-form-urlencoded; charset=utf-8")
@example(b"payload=[]", "application/x-www-form-urlencoded")
@example(b"[" * 100_000, "application/json")
@example(b'{"a":' * 100_000, "application/json")
@example(b"1" * 10_000, "application/json")
@example(b"\xff\xfe{}", "application/json")
@example(b"&" * 5_000, "application/x-www-form-urlencoded")
def test_a_body_is_an_object_or_a_sentence(body: bytes, content_type: str) -> None:
    try:
        assert isinstance(read_json(json_in(content_type, body)), dict)
    except Malformed as error:
        assert str(error).endswith(".")
