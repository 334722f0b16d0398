"""A version that took over one by one goes back, or goes on after Mist was killed."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from django.db import connection

from apps.deployments import observation, pipeline, planning, reconciliation, recovery, work
from apps.deployments.models import Deployment, Status
from apps.deployments.services import (
    deployment_cancel,
    deployment_request,
)
from apps.deployments.tasks import claim_next
from apps.deployments.work import Work, log_of
from apps.engine.data import ProbeResult
from apps.engine.errors import EngineAway, StartFailed, SwitchFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_update
from tests.deployments.rolled import Visitors, at_rest, fail_at, log, reached, running
from tests.deployments.test_deployment_run import deploy
from tests.machine.world import wait_until


class Killed(BaseException):
    """Of Mist, by `kill -9`."""


def goes_live_later(
    fake: FakeEngine, second: Deployment, seen: Visitors, *, alone: bool = False
) -> None:
    """The next Mist takes it up, and visitors met no fewer than three all the time."""
    recovery.recover_abandoned(owner="another", alone=alone)
    done = Deployment.objects.get(pk=second.pk)
    assert (done.status, done.failure, done.replicas) == (Status.LIVE, "", 3), log(done)
    seen.meet(3, 4)
    at_rest(fake, done)


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


def test_one_that_cannot_come_back_now_is_tried_until_it_does(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    fail_at(fake, 2, "start", StartFailed("No."))
    fake.containers.fail("start", StartFailed("Not now."))
    fake.containers.fail("resume", StartFailed("Not now."))
    second = deploy(three)
    assert second.status == Status.FAILED
    assert "Container 1 of #1 is not back yet. Not now." in log(second)
    assert len(reached(fake, three)) == 2
    fake.calls.clear()
    reconciliation.apply_wishes()
    at_rest(fake, first)
    assert not [call for call in fake.calls if call[1] == "stop"]  # the others stay as they are


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
    """It cannot be told to stay; as many serve meanwhile, and nobody is led to it."""
    first = deploy(three)
    seen = Visitors(fake, three)

    def heard() -> None:
        second = Deployment.objects.get(number=2)
        assert deployment_cancel(deployment=second, by=None)
        wait_until(lambda: "when it has ended" in log(second), "the way back")
        connection.close()

    fail_at(fake, 1, "stop", heard)
    second = deploy(three)
    assert second.status == Status.CANCELLED
    seen.meet(3, 4)
    at_rest(fake, first)


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_an_old_one_to_end_when_mist_stops(fake: FakeEngine, three: App) -> None:
    deploy(three)
    seen = Visitors(fake, three)
    has_ended = threading.Event()

    def stops() -> None:
        work.stopping.set()
        has_ended.wait(20)

    fail_at(fake, 1, "stop", stops)
    second = deploy(three)
    assert (second.status, second.owner, second.replaced) == (Status.SWITCHING, "", 1)
    has_ended.set()
    work.stopping.clear()
    goes_live_later(fake, second, seen)


def test_nobody_waits_for_requests_to_what_was_cancelled(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen: list[tuple[str, str, int]] = []

    def look() -> None:
        row = Deployment.objects.get(number=2)
        held = Deployment.objects.get(pk=first.pk).owner
        seen.append((row.status, "held" if held else "free", len(running(fake))))

    # Of the old one that made way first, then of the new one that nobody is led to any more.
    fake.proxy.fail("drain", lambda: None)
    fake.proxy.fail("drain", look)
    cancelled_at(fake, three, 2, "start")
    assert seen == [("cancelled", "held", 4)]
    at_rest(fake, first)


def killed_at(
    fake: FakeEngine, app: App, number: int, step: str, *, back: bool = False
) -> Deployment:
    """A deployment as a process leaves it that dies there, on its way `back` or forward."""

    def die() -> None:
        raise Killed

    deployment_request(app=app, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    fail_at(fake, number, step, die)
    with pytest.raises(Killed), log_of(claimed) as opened, ExitStack() as undo:
        one = Work(claimed, fake, opened, undo)
        try:
            if back:
                pipeline._carry(one, lambda: pipeline._take_steps(one))
            else:
                pipeline._take_steps(one)
        finally:
            undo.pop_all()
    return Deployment.objects.get(pk=claimed.pk)


@pytest.mark.parametrize(
    ("number", "step"),
    [(2, "start"), (3, "start"), (2, "probe"), (1, "drain"), (2, "drain"), (1, "stop"), (2, "stop")]
    + [(number, "wait_for_servers") for number in (1, 2, 3, 4, 5)],
)
def test_it_goes_on_after_mist_was_killed(
    fake: FakeEngine, three: App, number: int, step: str
) -> None:
    deploy(three)
    seen = Visitors(fake, three)
    second = killed_at(fake, three, number, step)
    assert second.is_rolling
    observation.observe_all()
    goes_live_later(fake, second, seen, alone=True)


@pytest.mark.parametrize("step", ["start", "drain", "wait_for_servers"])
def test_one_that_was_cancelled_and_killed_goes_back(
    fake: FakeEngine, three: App, step: str
) -> None:
    first = deploy(three)
    second = killed_at(fake, three, 2, step)
    assert deployment_cancel(deployment=second, by=None)
    recovery.recover_abandoned(owner="another", alone=True)
    assert Deployment.objects.get(pk=second.pk).status == Status.CANCELLED
    at_rest(fake, first)


def test_a_way_back_that_was_killed_keeps_its_reason(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    fail_at(fake, 2, "start", StartFailed("No room for it."))
    second = killed_at(fake, three, 1, "resume", back=True)
    recovery.recover_abandoned(owner="another", alone=True)
    second.refresh_from_db()
    assert (second.status, second.failure) == (Status.FAILED, "No room for it.")
    at_rest(fake, first)


def test_when_mist_stops_all_stays_and_goes_on_later(fake: FakeEngine, three: App) -> None:
    deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 2, "start", work.stopping.set)
    second = deploy(three)
    assert (second.status, second.owner, second.replaced) == (Status.SWITCHING, "", 1)
    assert len(reached(fake, three)) == 3 and "goes on when it is back" in log(second)
    work.stopping.clear()
    goes_live_later(fake, second, seen)


def test_it_begins_again_when_the_engine_was_away(
    fake: FakeEngine, three: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "ASK_ENGINE_SECONDS", 0.0)
    first = deploy(three)
    fail_at(fake, 2, "start", EngineAway("The Docker engine went away."))
    second = deploy(three)
    assert (second.status, second.roll, second.container_ids) == (Status.QUEUED, None, [])
    at_rest(fake, first)
