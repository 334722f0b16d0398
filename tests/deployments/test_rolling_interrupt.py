"""Mist, or the engine, goes away while containers are replaced one by one, or go back."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import time_machine
from django.utils import timezone

from apps.deployments import (
    following,
    observation,
    pipeline,
    reconciliation,
    recovery,
    work,
)
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel, deployment_request
from apps.deployments.tasks import claim_next
from apps.deployments.work import Work, log_of
from apps.engine.errors import EngineAway, StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.rolled import Visitors, at_rest, fail_at, log, reached
from tests.deployments.test_deployment_run import deploy


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(work, "ASK_ENGINE_SECONDS", 0.0)
    yield
    work.stopping.clear()


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
                rest = pipeline._carry(one, lambda: pipeline._take_steps(one))
                assert rest is not None
                following.follow(rest)
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


def test_one_that_another_mist_told_to_end_has_ended_before_it_comes_back(
    fake: FakeEngine, three: App
) -> None:
    first = deploy(three)
    second = killed_at(fake, three, 1, "stop")
    assert deployment_cancel(deployment=second, by=None)
    fake.calls.clear()
    recovery.recover_abandoned(owner="another", alone=True)
    told = [call[1] for call in fake.calls if call[2] == first.container_ids[0]]
    assert [step for step in told if step in ("stop", "resume")] == ["stop", "resume"]
    at_rest(fake, first)


BACK = [(1, "resume"), (2, "resume"), (5, "wait_for_servers"), (3, "drain"), (4, "drain")]
BACK += [(1, "remove"), (2, "remove"), (3, "stop"), (1, "remove_image"), (1, "image_exists")]
"""Steps of the way back from two of three."""


@pytest.mark.parametrize(("number", "step"), BACK)
def test_a_way_back_that_was_killed_is_taken_up(
    fake: FakeEngine, three: App, number: int, step: str
) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 3, "start", StartFailed("No room for it."))
    second = killed_at(fake, three, number, step, back=True)
    assert (second.status, second.failure) == (Status.FAILED, "No room for it.")
    assert second.is_told_on
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5), tick=False):
        reconciliation.remove_orphans()
    recovery.recover_abandoned(owner="another", alone=True)
    seen.meet(3, 4)
    at_rest(fake, first)


def test_nobody_waits_for_a_way_back_when_mist_stops(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 3, "start", StartFailed("No room for it."))
    fail_at(fake, 1, "resume", work.stopping.set)
    second = deploy(three)
    assert (second.status, second.owner, second.is_going_back) == (Status.FAILED, "", True)
    work.stopping.clear()
    recovery.recover_abandoned(owner="another", alone=False)
    seen.meet(3, 4)
    at_rest(fake, first)


@pytest.mark.parametrize("step", ["start", "inspect", "list", "remove"])
def test_a_way_back_waits_for_an_engine_that_went_away(
    fake: FakeEngine, three: App, step: str
) -> None:
    first = deploy(three)

    def lose() -> None:
        fake.containers.fail(step, EngineAway("The Docker engine went away."))
        raise StartFailed("No.")

    fail_at(fake, 2, "start", lose)
    second = deploy(three)
    assert second.failure == "No."
    recovery.recover_abandoned(owner="another", alone=True)
    at_rest(fake, first)


@pytest.mark.parametrize(
    ("number", "step"),
    [(number, "inspect") for number in range(1, 30, 2)] + [(1, "resume"), (2, "resume")],
)
def test_no_fewer_serve_when_the_engine_goes_away_on_the_way_back(
    fake: FakeEngine, three: App, number: int, step: str
) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)

    def lose() -> None:
        fail_at(fake, number, step, EngineAway("The Docker engine went away."))
        raise StartFailed("No.")

    fail_at(fake, 3, "start", lose)
    assert deploy(three).failure == "No."
    recovery.recover_abandoned(owner="another", alone=True)
    seen.meet(3, 4)
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


def test_it_goes_on_when_the_engine_was_away(fake: FakeEngine, three: App) -> None:
    deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 2, "start", EngineAway("The Docker engine went away."))
    second = deploy(three)
    assert "This deployment goes on when it is back" in log(second)
    assert (second.status, second.failure) == (Status.LIVE, "")
    seen.meet(3, 4)
    at_rest(fake, second)


def test_it_goes_back_when_the_engine_is_away_time_and_again(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    fail_at(fake, 2, "start", EngineAway("The Docker engine went away."))
    for _ in range(2):
        fake.containers.fail("start", EngineAway("The Docker engine went away."))
    second = deploy(three)
    assert (second.status, second.failure) == (Status.FAILED, "The Docker engine went away.")
    at_rest(fake, first)
