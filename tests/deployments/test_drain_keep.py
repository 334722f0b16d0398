"""An old version that still has requests is left alone for as long as its app gives it."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from apps.deployments import following, pipeline, reconciliation
from apps.deployments.models import Deployment
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy


def replace(app: App) -> Deployment:
    """A newer version, live, whose old one is about to drain."""
    deployment_request(app=app, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    rest = pipeline.bring_live(claimed)
    assert rest is not None
    return rest.deployment


@pytest.mark.parametrize("step", ["drain", "stop"])
def test_minutes_of_requests_and_of_grace_time_are_nobodys_orphan(
    fake: FakeEngine, web: App, step: str
) -> None:
    App.objects.filter(pk=web.pk).update(drain_seconds=600)
    web.refresh_from_db()
    first = deploy(web)
    second = replace(web)
    there: list[bool] = []

    def look() -> None:
        with time_machine.travel(timezone.now() + dt.timedelta(minutes=5), tick=False):
            reconciliation.remove_orphans()
        there.append(first.container_id in fake.containers.all)

    (fake.proxy if step == "drain" else fake.containers).fail(step, look)
    following.retire(second)
    assert there == [True]
    assert list(fake.containers.all) == [second.container_id]


def test_what_a_retirement_could_not_take_away_goes_in_the_end(fake: FakeEngine, web: App) -> None:
    first = deploy(web)
    second = replace(web)
    # As after a worker that let go of it and had seen no container of the old one.
    Deployment.objects.filter(pk=second.pk).update(owner="", heartbeat_at=None)
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=61), tick=False):
        reconciliation.remove_orphans()
    assert first.container_id not in fake.containers.all
