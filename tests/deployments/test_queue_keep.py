"""What waits in the queue loses nothing of what somebody asked for."""

from __future__ import annotations

from apps.accounts.models import User
from apps.deployments import recovery
from apps.deployments.models import Deployment, Status
from apps.deployments.services import (
    deployment_cancel,
    deployment_request,
)
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.projects.models import App

SHA = "c" * 40


def states(app: App) -> dict[int, str]:
    rows = Deployment.objects.filter(app=app).order_by("number")
    return {row.number: row.status for row in rows}


def test_a_tip_does_not_take_the_place_of_a_commit_that_was_asked_for(web: App) -> None:
    deployment_request(app=web, requested_by=None, commit=SHA)
    deployment_request(app=web, requested_by=None)
    assert states(web) == {1: Status.QUEUED, 2: Status.QUEUED}


def test_the_same_commit_again_takes_its_place(web: App) -> None:
    deployment_request(app=web, requested_by=None, commit=SHA)
    deployment_request(app=web, requested_by=None, commit=SHA)
    assert states(web) == {1: Status.SKIPPED, 2: Status.QUEUED}


def test_a_tip_takes_the_place_of_a_push_that_waits(web: App) -> None:
    trigger = Deployment.Trigger.WEBHOOK
    deployment_request(app=web, requested_by=None, commit=SHA, trigger=trigger)
    deployment_request(app=web, requested_by=None)
    assert states(web) == {1: Status.SKIPPED, 2: Status.QUEUED}


def test_without_the_cache_stays_without_the_cache(web: App) -> None:
    deployment_request(app=web, requested_by=None, no_cache=True)
    newer = deployment_request(app=web, requested_by=None)
    assert states(web)[1] == Status.SKIPPED
    assert newer.no_cache and Deployment.objects.get(pk=newer.pk).no_cache


def test_a_cancel_counts_though_the_worker_died_before_it_heard(
    fake: FakeEngine, web: App, alice: User
) -> None:
    deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None and deployment_cancel(deployment=claimed, by=alice)
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    claimed.refresh_from_db()
    assert (claimed.status, claimed.cancelled_by) == (Status.CANCELLED, alice)
    assert claimed.finished_at is not None
