"""While abandoned work is taken up nobody else takes it up, however long that lasts."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.utils import timezone

from apps.deployments import lifecycle, pipeline, recovery, work
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.selectors import abandoned
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.errors import EngineAway, HealthCheckFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import volume_add
from tests.deployments.test_deployment_run import deploy
from tests.deployments.test_stop_first import half_done

LONG_AGO = dt.timedelta(seconds=60)


@pytest.mark.django_db(transaction=True)
def test_a_long_grace_time_of_the_old_version_is_waited_for_once(
    fake: FakeEngine, web: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "HEARTBEAT_SECONDS", 0.02)
    volume_add(app=web, name="data", path="/data", created_by=None)
    deploy(web)
    left = half_done(fake, web)
    Deployment.objects.filter(pk=left.pk).update(owner="dead", heartbeat_at=None)
    seen: list[list[Deployment]] = []

    def look_in_the_next_round() -> None:
        mine = Deployment.objects.filter(pk=left.pk)
        mine.update(heartbeat_at=timezone.now() - LONG_AGO)
        until = time.monotonic() + 5
        while abandoned(owner="new", alone=True) and time.monotonic() < until:
            time.sleep(0.02)
        seen.append(abandoned(owner="new", alone=True))

    fake.containers.fail("stop", look_in_the_next_round)
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    assert seen == [[]]
    left.refresh_from_db()
    assert (left.status, left.owner) == (Status.QUEUED, "")


def test_who_was_heard_of_since_is_not_dead(web: App) -> None:
    deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    Deployment.objects.filter(pk=claimed.pk).update(heartbeat_at=timezone.now() - LONG_AGO)
    [found] = abandoned(owner=claimed.owner, alone=True)
    assert lifecycle.heartbeat(claimed)
    with pytest.raises(Overtaken):
        lifecycle.take_over(found, owner=claimed.owner)


@pytest.mark.parametrize(
    "error",
    [HealthCheckFailed("It ended."), EngineAway("It went away."), RuntimeError("a bug")],
)
def test_a_worker_that_was_held_up_takes_nothing_from_the_one_that_took_over(
    fake: FakeEngine, web: App, error: Exception
) -> None:
    deployment_request(app=web, requested_by=None)
    mine = claim_next()
    assert mine is not None

    def be_held_up_and_fail() -> None:
        assert recovery.recover_abandoned(owner="other", alone=True) == 1
        again = lifecycle.claim(owner="other", limit=1)
        assert again is not None and again.pk == mine.pk
        pipeline.run(again)
        raise error

    fake.proxy.fail("probe", be_held_up_and_fail)
    pipeline.run(mine)
    live = Deployment.objects.get(pk=mine.pk)
    assert (live.status, live.failure) == (Status.LIVE, "")
    assert list(fake.containers.all) == [live.container_id]
    assert list(fake.containers.images) == [live.image]
