"""Pages of what Git hosts told a project."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import ActorKind, AuditEvent
from apps.deployments.models import Deployment
from apps.projects.models import App, Project
from apps.projects.services import project_create
from apps.sources.models import Delivery
from apps.sources.payloads import SHOWN, shown
from apps.sources.retention import deliveries_forget
from tests.sources.conftest import Host, MakeHost, last_delivery, waiting
from tests.sources.payloads import SECOND, github_push

LIST = "/projects/shop/deliveries/"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def page(client: Client, path: str = LIST) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def rows(text: str) -> int:
    return text.count('class="row-link')


def test_before_anything_came_it_says_what_to_do(inside: Client, github: Host) -> None:
    assert "Nothing came yet" in page(inside)


def test_deliveries_are_listed_with_their_outcome(inside: Client, github: Host) -> None:
    github.send("ping", {})
    github.send("push", github_push())
    github.send("issues", {})
    github.post(b"{}", **{"X-GitHub-Event": "push"})
    text = page(inside)
    assert rows(text) == 4
    for words in ("the host can reach Mist", "deployed shop/web #1", "ignored: event issues", "no signature"):  # fmt: skip
        assert words in text
    for outcome, words in (("refused", "no signature"), ("deployed", "deployed shop/web #1")):
        text = page(inside, f"{LIST}?outcome={outcome}")
        assert rows(text) == 1 and words in text
    assert rows(page(inside, f"{LIST}?outcome=nothing")) == 4


def test_they_come_page_by_page(inside: Client, github: Host) -> None:
    Delivery.objects.bulk_create(
        Delivery(webhook=github.webhook, event="ping", outcome="done", words="x") for _ in range(60)
    )
    text = page(inside)
    assert rows(text) == 50 and "page=2" in text
    assert rows(page(inside, f"{LIST}?outcome=done&page=2")) == 10


def test_the_list_costs_the_same_however_many_there_are(
    inside: Client, github: Host, django_assert_max_num_queries: Any
) -> None:
    for n in range(20):
        github.send("push", github_push(filler="x" * 10_000), delivery=f"{n}")
    with django_assert_max_num_queries(12):
        page(inside)


def test_one_delivery_shows_what_came(inside: Client, github: Host) -> None:
    for _ in range(2):
        github.send("push", github_push(message="<script>alert(1)</script>"), delivery="72d3162e")
    text = page(inside, f"{LIST}{last_delivery().pk}/")
    assert "72d3162e" in text and "Came 2 times" in text and SECOND in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_of_what_was_refused_nothing_is_shown(inside: Client, github: Host) -> None:
    github.post(b'{"planted": 1}', **{"X-GitHub-Event": "push"})
    path = f"{LIST}{last_delivery().pk}/"
    text = page(inside, path)
    assert "planted" not in text and "Replay" not in text
    assert inside.post(f"{path}replay/").status_code == 302
    assert Delivery.objects.count() == 1


def test_what_may_be_a_secret_is_masked() -> None:
    secret = "hunter2-and-a-half"
    text, is_cut = shown(
        json.dumps(
            {
                "config": {"secret": secret, "url": f"https://x.example/?token={secret}"},
                "clone_url": f"https://alice:{secret}@git.example.com/a/b",
                "access_tokens": [secret],
                "X": {"client_secret": secret, "Authorization": secret, "private_key": secret},
                "name": "web",
                "keys_url": "https://api.example.com/keys",
                "private": True,
            }
        )
    )
    assert secret not in text and not is_cut
    assert '"name": "web"' in text and '"private": true' in text and "/keys" in text


def test_a_long_message_is_cut() -> None:
    text, is_cut = shown(json.dumps({"a": "x" * (SHOWN + 1)}))
    assert (len(text), is_cut) == (SHOWN, True)


def test_a_replay_deploys_once_more(inside: Client, alice: User, github: Host, web: App) -> None:
    github.send("push", github_push(), delivery="72d3162e")
    first = last_delivery()
    Deployment.objects.update(status="failed")
    answer = inside.post(f"{LIST}{first.pk}/replay/")
    made = last_delivery()
    assert answer["Location"] == f"{LIST}{made.pk}/"
    assert (made.replay_of, made.replayed_by, made.outcome) == (first, alice, "deployed")
    [queued] = waiting(web)
    assert (queued.commit, queued.requested_by, queued.trigger) == (SECOND, alice, "webhook")
    events = AuditEvent.objects.filter(action__in=["delivery.replay", "deployment.request"])
    assert {e.actor_kind for e in events.order_by("id")[1:]} == {ActorKind.USER}
    text = page(inside, answer["Location"])
    assert f"delivery {first.pk}" in text and "Alice Archer" in text
    assert "replayed by Alice" in page(inside)


def test_a_replay_counts_with_the_settings_of_now(inside: Client, github: Host, web: App) -> None:
    github.send("push", github_push())
    App.objects.update(branch="next")
    inside.post(f"{LIST}{last_delivery().pk}/replay/")
    assert last_delivery().words == "ignored shop/web: branch is not next"


def test_the_host_may_send_again_what_was_replayed(inside: Client, github: Host) -> None:
    github.send("ping", {}, delivery="72d3162e")
    inside.post(f"{LIST}{last_delivery().pk}/replay/")
    assert github.send("ping", {}, delivery="72d3162e").status_code == 200
    assert list(Delivery.objects.order_by("id").values_list("times", flat=True)) == [2, 1]


def test_a_replay_outlives_what_it_repeats(inside: Client, github: Host) -> None:
    github.send("ping", {})
    first = last_delivery()
    inside.post(f"{LIST}{first.pk}/replay/")
    Delivery.objects.filter(pk=first.pk).update(received_at="2020-01-01T00:00:00Z")
    assert deliveries_forget() == 1
    assert "the host can reach Mist" in page(inside, f"{LIST}{last_delivery().pk}/")


def test_those_of_another_project_are_not_there(
    inside: Client, host_of: MakeHost, shop: Project
) -> None:
    depot = project_create(slug="depot", created_by=None)
    host_of("github", project=depot).send("ping", {})
    pk = last_delivery().pk
    assert rows(page(inside)) == 0
    assert inside.get(f"{LIST}{pk}/").status_code == 404
    assert inside.post(f"{LIST}{pk}/replay/").status_code == 404
    assert Delivery.objects.count() == 1
