"""What goes wrong at the worst moment undoes nothing that is done, and loses nothing that is not."""

from __future__ import annotations

from typing import Any

import pytest
from channels.layers import channel_layers
from django.db import OperationalError

from apps.accounts.models import User
from apps.deployments import events, following, lifecycle, pipeline, recovery
from apps.deployments.models import Deployment, Status
from apps.deployments.selectors import unretired
from apps.deployments.services import deployment_rollback
from apps.deployments.tasks import claim_next
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.projects.services import app_create
from tests.deployments.test_deployment_run import deploy, serving


def switching(app: App) -> tuple[Deployment, Deployment]:
    """The live deployment, and a newer one as a process leaves it that dies while it switches."""
    first, second = deploy(app), deploy(app)
    Deployment.objects.filter(pk=second.pk).update(status=Status.SWITCHING, owner="dead")
    Deployment.objects.filter(pk=first.pk).update(status=Status.LIVE)
    return first, second


def test_a_deployment_is_live_though_no_page_can_be_told(
    fake: FakeEngine, web: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def publish(self, group: str, message: dict[str, Any]) -> None:
            raise ConnectionError("Redis is gone")

    monkeypatch.setitem(channel_layers.backends, "default", Gone())
    events.publish("mist.lobby", {"type": "mist.changed"})
    done = deploy(web)
    assert done.status == Status.LIVE and serving(fake, web) == f"{done.service}@docker"


def test_a_container_of_the_next_deployment_is_not_taken_for_an_old_one(
    fake: FakeEngine, web: App
) -> None:
    first = deploy(web)
    second = deploy(web)
    # As when the next deployment has begun before the one before it has cleaned up.
    Deployment.objects.filter(pk=second.pk).update(status=Status.CHECKING)
    following.retire(first)
    assert list(fake.containers.all) == [second.container_id]


def test_a_switch_that_cannot_be_finished_ends_with_a_reason(fake: FakeEngine, web: App) -> None:
    first, second = switching(web)
    fake.proxy.fail("write_routes", RuntimeError("a bug"))
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    second.refresh_from_db()
    assert second.status == Status.FAILED and "Mist itself failed" in second.failure
    assert Deployment.objects.get(status=Status.LIVE) == first


def test_a_rollback_that_cannot_be_switched_to_keeps_the_image(fake: FakeEngine, web: App) -> None:
    first = deploy(web)
    deploy(web)
    deployment_rollback(to=first, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    Deployment.objects.filter(pk=claimed.pk).update(status=Status.SWITCHING, owner="dead")
    fake.proxy.fail("write_routes", RuntimeError("a bug"))
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    assert first.image in fake.containers.images


def test_what_could_not_be_recovered_is_tried_again(fake: FakeEngine, web: App) -> None:
    waiting = deploy(web)
    Deployment.objects.filter(pk=waiting.pk).update(status=Status.BUILDING, owner="dead")
    fake.containers.fail("list", EngineUnavailable("The Docker engine does not answer."))
    assert recovery.recover_abandoned(owner="new", alone=True) == 0
    # The same process asks again: what it took over is not held for good.
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    waiting.refresh_from_db()
    assert waiting.status == Status.QUEUED


def test_what_cannot_be_recovered_holds_up_no_other(
    fake: FakeEngine, web: App, shop: Project, alice: User
) -> None:
    address = "https://git.example.com/a.git"
    api = app_create(project=shop, slug="api", repository=address, created_by=alice)
    left = [deploy(web).pk, deploy(api).pk]
    Deployment.objects.filter(pk__in=left).update(status=Status.BUILDING, owner="dead")
    fake.containers.fail("list", RuntimeError("a bug"))
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    states = Deployment.objects.filter(pk__in=left).values_list("status", "owner")
    assert sorted(states) == [(Status.BUILDING, ""), (Status.QUEUED, "")]


def test_work_that_this_process_is_at_is_not_taken_for_abandoned(
    fake: FakeEngine, web: App
) -> None:
    waiting = deploy(web)
    Deployment.objects.filter(pk=waiting.pk).update(status=Status.BUILDING, owner="me")
    Deployment.objects.filter(pk=waiting.pk).update(heartbeat_at=None)
    assert recovery.recover_abandoned(owner="me", alone=True, busy=[waiting.pk]) == 0
    assert recovery.recover_abandoned(owner="me", alone=True) == 1


def test_clean_up_that_meets_a_locked_database_leaves_the_new_version_live(
    fake: FakeEngine, web: App
) -> None:
    deploy(web)
    fake.containers.fail("list", OperationalError("database is locked"))
    done = deploy(web)
    assert done.status == Status.LIVE and serving(fake, web) == f"{done.service}@docker"


def test_going_live_and_the_apps_own_state_are_one_step(fake: FakeEngine, web: App) -> None:
    App.objects.filter(pk=web.pk).update(wanted=App.Wanted.STOPPED)
    deploy(web)
    web.refresh_from_db()
    assert (web.wanted, web.observed) == (App.Wanted.RUNNING, App.Observed.RUNNING)


def test_one_that_was_replaced_while_its_worker_was_dead_is_let_go_of(
    fake: FakeEngine, web: App
) -> None:
    first = deploy(web)
    deploy(web)
    # As a process leaves it that is killed while an old version drains, beside a newer one.
    Deployment.objects.filter(pk=first.pk).update(owner="dead")
    [left] = unretired(owner="new", alone=True)
    lifecycle.take_over(left, owner="new")
    following.retire(left)
    first.refresh_from_db()
    assert (first.status, first.owner) == (Status.RETIRED, "")
    assert unretired(owner="new", alone=True) == []
