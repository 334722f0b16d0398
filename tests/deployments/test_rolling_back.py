"""A version that took over one by one goes back."""

from __future__ import annotations

import pytest
from django.db import connection

from apps.deployments import pipeline, planning
from apps.deployments.models import Deployment, Status
from apps.deployments.queueing import Waiting, waiting
from apps.deployments.services import deployment_cancel, deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.data import ProbeResult
from apps.engine.errors import StartFailed, SwitchFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_update
from tests.deployments.rolled import Visitors, at_rest, fail_at, log, running
from tests.deployments.test_deployment_run import deploy
from tests.machine.world import wait_until

NOBODY = Waiting(0, "")

FAILURES: list[tuple[int, str, Exception]] = [
    (2, "start", StartFailed("No.")),
    (3, "start", StartFailed("No.")),
    (1, "wait_for_servers", SwitchFailed("No.")),
    (2, "wait_for_servers", SwitchFailed("No.")),
    (3, "wait_for_servers", SwitchFailed("No.")),
    (4, "wait_for_servers", SwitchFailed("No.")),
]


@pytest.mark.parametrize(("number", "step", "error"), FAILURES)
def test_all_is_as_it_was_when_a_step_fails(
    fake: FakeEngine, three: App, number: int, step: str, error: Exception
) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, number, step, error)
    second = deploy(three)
    assert (second.status, second.failure) == (Status.FAILED, "No.")
    seen.meet(3, 4)
    at_rest(fake, first)
    assert "All containers of #1 serve again" in log(second)
    three.refresh_from_db()
    assert not three.needs_apply and three.observed == App.Observed.RUNNING


def test_one_that_never_gets_healthy_brings_the_old_ones_back(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    app_update(app=three, health_start_seconds=1, health_attempts=1, health_interval=1)
    seen = Visitors(fake, three)
    good, bad = ProbeResult(200, 1.0), ProbeResult(500, 1.0)
    fake.proxy.answers = [good, bad, bad, bad]
    second = deploy(three)
    assert second.status == Status.FAILED and "failed" in second.failure
    seen.meet(3, 4)
    at_rest(fake, first)
    assert "1 of 3 replaced" in log(second) and "2 of 3 replaced" not in log(second)


def test_an_old_one_that_is_gone_is_made_anew(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)

    def lose() -> None:
        fake.containers.all.pop(first.container_ids[0])
        raise StartFailed("No.")

    fail_at(fake, 2, "start", lose)
    assert deploy(three).status == Status.FAILED
    seen.meet(3, 4)
    again = Deployment.objects.get(pk=first.pk)
    assert again.container_ids[0] != first.container_ids[0]
    at_rest(fake, first)


def test_old_ones_that_lost_their_network_are_made_anew(fake: FakeEngine, three: App) -> None:
    first = deploy(three)

    def cut_off() -> None:
        fake.containers.lose_networks()
        raise StartFailed("No.")

    fail_at(fake, 2, "start", cut_off)
    assert deploy(three).status == Status.FAILED
    at_rest(fake, first)
    network = planning.network_name(three.project)
    assert all(one.addresses.get(network) for one in fake.containers.all.values())


def cancelled_at(fake: FakeEngine, app: App, number: int, step: str) -> Deployment:
    requested = deployment_request(app=app, requested_by=None)
    fail_at(fake, number, step, lambda: deployment_cancel(deployment=requested, by=None))
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=requested.pk)


@pytest.mark.parametrize(
    ("number", "step"),
    [(2, "start"), (3, "start"), (2, "probe"), (1, "drain"), (2, "drain")]
    + [(number, "wait_for_servers") for number in (1, 2, 3, 4, 5)],
)
def test_cancelling_goes_back_from_wherever_it_is(
    fake: FakeEngine, three: App, number: int, step: str
) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    second = cancelled_at(fake, three, number, step)
    assert second.status == Status.CANCELLED
    seen.meet(3, 4)
    at_rest(fake, first)


@pytest.mark.django_db(transaction=True)
def test_cancelling_while_an_old_one_ends_brings_it_back_when_it_has(
    fake: FakeEngine, three: App
) -> None:
    """It cannot be told to stay; as many serve meanwhile, and nobody is led to it. The deployment
    has ended by then."""
    first = deploy(three)
    seen = Visitors(fake, three)
    found: list[tuple[str, bool, str]] = []

    def heard() -> None:
        second = Deployment.objects.get(number=2)
        assert deployment_cancel(deployment=second, by=None)
        wait_until(lambda: "when it has ended" in log(second), "the way back")
        second.refresh_from_db()
        third = deployment_request(app=three, requested_by=None)
        assert claim_next() is None
        found.append((second.status, second.is_going_back, (waiting(third) or NOBODY).reason))
        deployment_cancel(deployment=third, by=None)
        connection.close()

    fail_at(fake, 1, "stop", heard)
    second = deploy(three)
    assert found == [
        ("cancelled", True, "#2 of this app was cancelled and gives its place back first.")
    ]
    assert second.status == Status.CANCELLED
    seen.meet(3, 4)
    at_rest(fake, first)


def test_nobody_waits_for_requests_to_what_was_cancelled(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen: list[tuple[str, bool, int]] = []

    def look() -> None:
        row = Deployment.objects.get(number=2)
        seen.append((row.status, row.is_leaving, len(running(fake))))
        deployment_request(app=three, requested_by=None)
        third = claim_next()
        assert third is not None and row.owner
        deployment_cancel(deployment=third, by=None)
        pipeline.run(third)

    # Of the old one that made way first, then of the new one that nobody is led to any more.
    fake.proxy.fail("drain", lambda: None)
    fake.proxy.fail("drain", look)
    cancelled_at(fake, three, 2, "start")
    assert seen == [("cancelled", True, 4)]
    at_rest(fake, first)
