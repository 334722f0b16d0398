"""What becomes of a delivery that comes again, how long each is kept, and what a new secret changes."""

from __future__ import annotations

from typing import Any

import pytest

from apps.audit.models import AuditEvent
from apps.deployments.models import Deployment
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from apps.sources.deliveries import REFUSED_KEPT
from apps.sources.hook_services import webhook_delete, webhook_secret_make
from apps.sources.models import Delivery, HostKind, Webhook
from apps.sources.retention import deliveries_forget
from apps.sources.tasks import forget_deliveries
from tests.sources.conftest import Host, MakeHost, last_delivery, said, waiting
from tests.sources.payloads import FIRST, PUSHES, gitea_push, github_push


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
