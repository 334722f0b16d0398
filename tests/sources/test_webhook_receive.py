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
from apps.projects.services import app_create, project_create
from apps.sources.deliveries import REFUSED_KEPT, text_of
from apps.sources.hook_services import webhook_delete, webhook_secret_make
from apps.sources.models import Delivery, HostKind, Webhook
from apps.sources.retention import deliveries_forget
from apps.sources.tasks import forget_deliveries
from apps.sources.webhooks import BODY_MAX
from tests.sources.conftest import EVENT, NAME, Host, MakeHost, last_delivery, said, signed, waiting
from tests.sources.payloads import (
    FIRST,
    SECOND,
    bitbucket_push,
    gitea_push,
    github_push,
    gitlab_push,
)

PUSHES: dict[str, tuple[str, dict[str, Any]]] = {
    "github": ("push", github_push()),
    "gitea": ("push", gitea_push()),
    "gitlab": ("Push Hook", gitlab_push()),
    "bitbucket": ("repo:push", bitbucket_push()),
}


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


# ----------------------------------------------------------------------------- the same once more


@pytest.mark.parametrize("kind", HostKind.values)
def test_a_delivery_that_comes_again_is_counted_and_does_nothing(
    kind: str, host_of: MakeHost, web: App
) -> None:
    host = host_of(kind)
    first = host.send(*PUSHES[kind], delivery="72d3162e")
    Deployment.objects.update(status="failed")
    for _ in range(2):
        again = host.send(*PUSHES[kind], delivery="72d3162e")
        assert (again.status_code, said(again)) == (202, said(first))
    assert (last_delivery().times, Delivery.objects.count()) == (3, 1)
    assert Deployment.objects.count() == 1


def test_messages_without_a_name_are_each_their_own(github: Host, web: App) -> None:
    assert said(github.send("push", github_push(), delivery="")) == ["deployed shop/web #1"]
    assert said(github.send("push", github_push(), delivery="")) == [
        "ignored shop/web: #1 deploys this commit already"
    ]
    assert Delivery.objects.count() == 2


def test_a_name_that_a_stranger_took_is_free(github: Host, web: App) -> None:
    github.post(b"{}", **{"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e"})
    assert github.send("push", github_push(), delivery="72d3162e").status_code == 202


def test_two_webhooks_may_have_deliveries_of_one_name(host_of: MakeHost, web: App) -> None:
    first = host_of("github").send("push", github_push(), delivery="1")
    second = host_of("gitea").send("push", gitea_push(after=FIRST), delivery="1")
    assert (first.status_code, second.status_code) == (202, 202)


# -------------------------------------------------------------------------------- what is kept


def test_what_was_refused_is_kept_in_a_bounded_number(github: Host, web: App) -> None:
    github.send("push", github_push())
    for n in range(REFUSED_KEPT + 5):
        github.post(b"{}", **{"X-GitHub-Event": f"push-{n}"})
    refused = Delivery.objects.filter(outcome="refused")
    assert refused.count() == REFUSED_KEPT
    assert refused.latest("id").event == f"push-{REFUSED_KEPT + 4}"
    assert Delivery.objects.filter(outcome="deployed").count() == 1


def test_a_delivery_is_kept_for_a_week(github: Host, time_machine: Any) -> None:
    for day, name in ((1, "first"), (2, "second")):
        time_machine.move_to(f"2026-12-0{day} 12:00Z", tick=False)
        github.send("ping", {}, delivery=name)
    time_machine.move_to("2026-12-08 12:00:00Z", tick=False)
    assert deliveries_forget() == 0
    time_machine.move_to("2026-12-08 12:00:01Z", tick=False)
    assert deliveries_forget() == 1
    assert last_delivery().delivery_id == "second"


@pytest.mark.django_db(transaction=True)
def test_the_schedule_forgets_deliveries(settings: Any) -> None:
    Delivery.objects.create(received_at="2020-01-01T00:00:00Z")
    tasks = {one["task"] for one in settings.CELERY_BEAT_SCHEDULE.values()}
    assert forget_deliveries.name in tasks
    forget_deliveries()
    assert not Delivery.objects.exists()


# ------------------------------------------------------------------------------------- secrets


def test_after_a_new_secret_the_old_one_is_refused(github: Host, shop: Project, web: App) -> None:
    made = webhook_secret_make(project=shop, kind="github", by=None)
    assert made.webhook.public_id == github.webhook.public_id
    assert github.send("push", github_push()).status_code == 403
    github.secret = made.secret
    assert github.send("push", github_push()).status_code == 202
    actions = list(AuditEvent.objects.filter(thing_type="webhook").values_list("action", flat=True))
    assert sorted(actions) == ["webhook.create", "webhook.rotate"]
    assert not AuditEvent.objects.filter(after__icontains=made.secret).exists()
    assert made.secret not in repr(made)


def test_a_webhook_that_was_removed_is_gone(github: Host) -> None:
    webhook_delete(webhook=Webhook.objects.get())
    assert github.send("ping", {}).status_code == 404


def test_a_secret_opens_its_own_project_alone(host_of: MakeHost, web: App) -> None:
    depot = project_create(slug="depot", created_by=None)
    app_create(project=depot, slug="web", repository=web.repository, created_by=None)
    answer = host_of("github", project=depot).send("push", github_push())
    assert said(answer) == ["deployed depot/web #1"]
    assert waiting(web) == []


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
