"""GitHub's own examples of every event, as GitHub sends them and as somebody else might."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse

from apps.deployments.models import Deployment
from apps.projects.models import App
from apps.sources.models import Delivery
from tests.machine.octokit import examples
from tests.sources.conftest import Host, last_delivery, said, signed

PLACES = ("api.github.com", "ghes-31", "ghes-32", "ghes-33", "ghes-34", "ghes-35")
HELLO = "https://github.com/Codertocat/Hello-World"


@pytest.fixture
def hello(web: App) -> App:
    App.objects.filter(pk=web.pk).update(repository=HELLO, branch="master", tag_pattern="simple-*")
    return App.objects.get()


def wanted(event: str, payload: dict[str, Any]) -> tuple[str, str]:
    """What becomes of an example by its content, and in which words."""
    if event == "ping":
        return "done", "the host can reach Mist"
    if event != "push":
        return "ignored", f"ignored: event {event}"
    if payload["repository"]["html_url"] != HELLO:
        where = payload["repository"]["clone_url"]
        return "ignored", f"ignored: no app of shop is built from {where}"
    if payload["deleted"]:
        return "ignored", "ignored shop/web: the tag was deleted"
    return "deployed", "deployed shop/web #1"


@pytest.mark.parametrize("place", PLACES)
def test_every_example_has_its_outcome(place: str, github: Host, hello: App) -> None:
    outcomes = set()
    for event, payload in examples()[place]:
        with transaction.atomic():
            answer = github.send(event, payload)
            outcome, words = wanted(event, payload)
            assert said(answer) == [words], event
            assert answer.status_code == (202 if outcome == "deployed" else 200)
            found = last_delivery()
            assert (found.event, found.outcome, found.words) == (event, outcome, words)
            commits = set(Deployment.objects.values_list("commit", "commit_url"))
            if outcome == "deployed":
                head = payload["head_commit"]
                assert commits == {(head["id"], head["url"])}
            else:
                assert commits == set()
            outcomes.add((event, outcome))
            transaction.set_rollback(True)
    if place == "api.github.com":
        assert {
            *(("installation", "ignored"), ("pull_request", "ignored"), ("ping", "done")),
            *(("push", "deployed"), ("push", "ignored")),
        } <= outcomes


def test_no_example_is_left_out() -> None:
    assert sorted(examples()) == sorted(PLACES)
    assert sum(len(found) for found in examples().values()) > 500


def _wrong(host: Host, body: bytes) -> dict[str, str]:
    return signed("github", "another secret", body)


def _missing(host: Host, body: bytes) -> dict[str, str]:
    return {}


def _truncated(host: Host, body: bytes) -> dict[str, str]:
    return {name: value[:-1] for name, value in signed("github", host.secret, body).items()}


def _of_other_bytes(host: Host, body: bytes) -> dict[str, str]:
    return signed("github", host.secret, body + b" ")


def _the_old_kind(host: Host, body: bytes) -> dict[str, str]:
    """SHA-1, which GitHub still sends besides."""
    return {"X-Hub-Signature": signed("github", host.secret, body)["X-Hub-Signature-256"]}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sign", [_wrong, _missing, _truncated, _of_other_bytes, _the_old_kind])
def test_no_example_is_taken_with_another_signature(
    sign: Callable[[Host, bytes], dict[str, str]], place: str, github: Host, hello: App
) -> None:
    for event, payload in examples()[place]:
        body = json.dumps(payload).encode()
        answer: HttpResponse = github.post(
            body, **{"X-GitHub-Event": event, "X-GitHub-Delivery": "d"}, **sign(github, body)
        )
        assert answer.status_code == 403
        assert json.loads(answer.content)["status"] == 403
    assert not Deployment.objects.exists()
    rows = Delivery.objects.all()
    assert {row.outcome for row in rows} == {"refused"}
    assert not any(bytes(row.body) for row in rows)
    assert {row.words.partition(":")[0] for row in rows} <= {"bad signature", "no signature"}
    assert len(rows) <= 50
