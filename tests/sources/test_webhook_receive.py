"""The address where a Git host tells Mist of pushes: what is taken, what is refused, what is kept."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, example, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.audit.models import ActorKind, AuditEvent
from apps.deployments.models import Deployment
from apps.projects.models import App, Project
from apps.projects.services import project_create
from apps.sources.deliveries import text_of
from apps.sources.hook_services import webhook_secret_make
from apps.sources.models import Delivery, HostKind
from apps.sources.webhooks import BODY_MAX
from tests.sources.conftest import EVENT, NAME, Host, MakeHost, last_delivery, said, signed, waiting
from tests.sources.payloads import (
    PUSHES,
    SECOND,
    gitea_push,
    github_push,
)


@pytest.mark.parametrize("kind", HostKind.values)
def test_a_signed_push_deploys_exactly_its_commit(kind: str, host_of: MakeHost, web: App) -> None:
    host = host_of(kind)
    answer = host.send(*PUSHES[kind])
    assert (answer.status_code, said(answer)) == (202, ["deployed shop/web #1"])
    [queued] = waiting(web)
    assert (queued.commit, queued.ref, queued.trigger) == (SECOND, "main", "webhook")
    assert (queued.commit_message, queued.commit_author) == ("Add a cart", "Alice Halden")
    assert queued.commit_url.startswith("https://git.example.com/shop/web/")
    kept = last_delivery()
    assert (kept.outcome, kept.words, kept.times) == ("deployed", "deployed shop/web #1", 1)
    assert (kept.webhook, kept.event) == (host.webhook, PUSHES[kind][0])
    assert json.loads(text_of(kept)) == PUSHES[kind][1]


@pytest.mark.parametrize("kind", HostKind.values)
@pytest.mark.parametrize("fault", ["missing", "wrong", "truncated", "empty", "of other bytes"])
def test_a_message_without_the_right_signature_is_refused(
    fault: str, kind: str, host_of: MakeHost, web: App
) -> None:
    host = host_of(kind)
    event, payload = PUSHES[kind]
    body = json.dumps(payload).encode()
    right = signed(kind, host.secret, body)
    headers = {
        "missing": {},
        "wrong": signed(kind, "another secret", body),
        "truncated": {name: value[:-1] for name, value in right.items()},
        "empty": dict.fromkeys(right, ""),
        "of other bytes": signed(kind, host.secret, body + b" "),
    }[fault]
    if (kind, fault) == ("gitlab", "of other bytes"):
        headers = {"X-Gitlab-Token": f"{host.secret} "[1:]}  # it signs no bytes
    answer = host.post(body, **{EVENT[kind]: event, NAME[kind]: "d"}, **headers)
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert "signature" in json.loads(answer.content)["detail"]
    assert not Deployment.objects.exists()
    kept = last_delivery()
    assert (kept.outcome, bytes(kept.body)) == ("refused", b"")
    assert kept.words == ("bad signature" if fault != "missing" else kept.words)
    assert host.send(event, payload, delivery="d").status_code == 202


@pytest.mark.parametrize("kind", HostKind.values)
def test_unsigned_webhook_is_refused_although_no_secret_was_set(
    kind: str, host_of: MakeHost, web: App
) -> None:
    """Anybody can sign with an empty secret."""
    host = host_of(kind)
    host.webhook.secret = ""
    host.webhook.save()
    event, payload = PUSHES[kind]
    body = json.dumps(payload).encode()
    for headers in ({}, signed(kind, "", body)):
        assert host.post(body, **{EVENT[kind]: event}, **headers).status_code == 403
    assert not Deployment.objects.exists()


def test_a_signature_of_another_host_kind_counts_for_nothing(github: Host, web: App) -> None:
    body = json.dumps(github_push()).encode()
    for kind in ("gitea", "gitlab", "bitbucket"):
        headers = {**signed(kind, github.secret, body), "X-GitHub-Event": "push"}
        assert github.post(body, **headers).status_code == 403


def test_a_signature_that_is_no_ascii_is_refused(github: Host, web: App) -> None:
    answer = github.post(b"{}", **{"X-Hub-Signature-256": "sha256=ü€".encode().decode("latin-1")})
    assert answer.status_code == 403


def test_nothing_is_parsed_before_the_signature_is_right(github: Host) -> None:
    for body in (b"no json", b"\xff" * 100, b"[" * 200_000):
        answer = github.post(body, **{"X-GitHub-Event": "push", "X-Hub-Signature-256": "x"})
        assert answer.status_code == 403


def test_gitea_may_sign_as_github_does(host_of: MakeHost, web: App) -> None:
    host = host_of("gitea")
    body = json.dumps(gitea_push()).encode()
    headers = {**signed("github", host.secret, body), "X-Gitea-Event": "push"}
    assert host.post(body, **headers).status_code == 202


def test_a_form_with_the_message_is_taken(github: Host, web: App) -> None:
    body = urlencode({"payload": json.dumps(github_push())}).encode()
    headers = {**signed("github", github.secret, body), "X-GitHub-Event": "push"}
    answer = github.post(body, "application/x-www-form-urlencoded", **headers)
    assert said(answer) == ["deployed shop/web #1"]
    assert json.loads(text_of(last_delivery())) == github_push()


def test_a_ping_is_answered(github: Host) -> None:
    answer = github.send("ping", {"zen": "Keep it logically awesome.", "hook_id": 1})
    assert (answer.status_code, last_delivery().outcome) == (200, "done")


def test_other_events_are_ignored_by_name(github: Host) -> None:
    answer = github.send("issues", {"action": "opened"})
    assert (answer.status_code, said(answer)) == (200, ["ignored: event issues"])


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "which branch or tag"),
        (github_push() | {"repository": None}, "no object named repository"),
        ([], "no JSON object"),
        ("push", "no JSON object"),
    ],
)
def test_a_signed_message_that_makes_no_sense_is_told_so(
    payload: object, words: str, github: Host
) -> None:
    answer = github.send("push", payload)
    assert answer.status_code == 400
    assert words in json.loads(answer.content)["detail"]
    kept = last_delivery()
    assert (kept.outcome, bytes(kept.body)) == ("refused", b"")
    assert kept.words.startswith("malformed: ")


def test_a_signed_message_without_an_event_is_told_so(github: Host) -> None:
    body = json.dumps(github_push()).encode()
    answer = github.post(body, **signed("github", github.secret, body))
    assert answer.status_code == 400
    assert "X-GitHub-Event" in json.loads(answer.content)["detail"]


def test_a_message_may_have_five_megabytes_and_no_more(github: Host, web: App) -> None:
    filler = "x" * (BODY_MAX - len(json.dumps(github_push(filler=""))))
    assert github.send("push", github_push(filler=filler)).status_code == 202
    answer = github.send("push", github_push(filler=f"{filler}x"))
    assert answer.status_code == 413
    assert json.loads(answer.content)["detail"].endswith("at most 5 MB.")
    assert Delivery.objects.count() == 1


def test_an_unknown_address_looks_like_any_other(github: Host, shop: Project) -> None:
    other = project_create(slug="depot", created_by=None)
    theirs = webhook_secret_make(project=other, kind="gitlab", by=None).webhook
    paths = [
        "/hooks/github/nothing",
        f"/hooks/gitlab/{github.webhook.public_id}",
        f"/hooks/github/{theirs.public_id}",
        "/hooks/nothing/nothing",
        "/hooks/github/" + "x" * 300,
        "/hooks/deploy/nothing",
        "/hooks/",
        "/hooks/github/a/b",
    ]
    answers = {(a.status_code, a.content) for a in (github.client.post(p) for p in paths)}
    assert [status for status, _ in answers] == [404]
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_taken(method: str, github: Host) -> None:
    for path in (github.path, "/hooks/github/nothing", "/hooks/deploy/nothing"):
        answer = github.client.generic(method, path)
        assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_neither_cookies_nor_csrf_tokens_count(alice: User, github: Host, web: App) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    github.client = browser
    assert browser.post(github.path).status_code == 403
    answer = github.send("push", github_push())
    assert answer.status_code == 202
    assert not answer.cookies
    [event] = AuditEvent.objects.filter(action="deployment.request")
    assert (event.actor_kind, event.actor_name) == (ActorKind.WEBHOOK, "GitHub webhook of shop")
    assert event.actor_id is None
    assert waiting(web)[0].requested_by is None


def test_an_answer_takes_few_looks_at_the_database(
    github: Host, web: App, django_assert_max_num_queries: Any
) -> None:
    """However large the message is: it only queues rows."""
    paths = tuple(f"src/{n}.py" for n in range(2_000))
    with django_assert_max_num_queries(30):
        assert github.send("push", github_push(paths=paths)).status_code == 202


# ---------------------------------------------------------------------------------------- fuzzing

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@bounded(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=100)
    | st.sampled_from([json.dumps(payload).encode() for _, payload in PUSHES.values()]),
    st.sampled_from(["push", "ping", "Push Hook", "repo:push", ""]) | NAMES,
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "a;b=\x01", ""]),
    st.sampled_from(sorted(HostKind.values)),
    st.booleans(),
    NAMES,
)
@example(b'{"ref": "refs/heads/\\ud800"}', "push", "application/json", "github", True, "")
def test_no_request_makes_the_address_fail(
    host_of: MakeHost, web: App, body: bytes, event: str, content: str, kind: str, sign: bool, name: str
) -> None:  # fmt: skip
    with transaction.atomic():
        host = host_of(kind)
        headers = signed(kind, host.secret, body) if sign else signed(kind, f"{name}x", body)
        answer = host.post(body, content, **{EVENT[kind]: event, NAME[kind]: name}, **headers)
        assert answer.status_code in ((200, 202, 400) if sign else (403,))
        json.loads(answer.content)
        transaction.set_rollback(True)
