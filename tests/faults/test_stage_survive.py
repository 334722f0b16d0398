"""Every stage of a deployment meets every fault, on a real engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from pytest_django import DjangoDbBlocker

from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel
from apps.projects.models import App
from apps.projects.services import volume_add
from apps.system.management.soak_invariants import find_leaks
from tests.faults.stages import (
    STAGES,
    Checking,
    Held,
    Switching,
    containers_of,
    sleeping_builds,
    visit,
)
from tests.faults.world import FaultWorld, fault_world, seconds_since
from tests.machine.world import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.long(6)]
CANCEL_SECONDS = 10.0
"""Two where nothing else runs. What is cancelled is held up and would not end by itself."""
STOP_SECONDS = 40.0
"""As the one before: less than ten."""
PAUSE = 0.4
"""After which an engine or a lock that was held up lets go, for faults that wait for it."""


@pytest.fixture(scope="module")
def faults(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[FaultWorld]:
    with django_db_blocker.unblock(), fault_world(tmp_path_factory.mktemp("faults")) as world:
        yield world


@pytest.fixture(params=list(STAGES))
def held(request: pytest.FixtureRequest, faults: FaultWorld) -> Iterator[Held]:
    """A deployment that has come to a stage and stays there."""
    faults.prober.failures.clear()
    if faults.mist.pid is None:
        faults.up()
    found = STAGES[request.param](faults)
    try:
        yield found
    finally:
        found.release()


def release_soon(held: Held) -> None:
    threading.Timer(PAUSE, held.release).start()


def shows(world: FaultWorld, text: str) -> bool:
    return visit(world) == text


def finish(world: FaultWorld, held: Held, status: Status) -> None:
    world.settle(held.deployment, held.release)
    assert held.deployment.status == status, world.story(held.deployment)
    held.done()
    world.check(held.deployment)


def test_kill_9(faults: FaultWorld, held: Held) -> None:
    faults.kill()
    faults.up()
    finish(faults, held, Status.LIVE)


def test_kill_9_when_traffic_has_moved(faults: FaultWorld) -> None:
    faults.prober.failures.clear()
    held = Switching(faults, moved=True)
    faults.kill()
    held.release()
    faults.up()
    finish(faults, held, Status.LIVE)


def test_sigterm(faults: FaultWorld, held: Held) -> None:
    before = Deployment.objects.get(pk=held.deployment.pk).status
    faults.ask_to_end()
    began = time.monotonic()
    if before in (Status.STARTING, Status.SWITCHING):
        release_soon(held)
    wait_until(lambda: faults.mist.pid is None, "the end of Mist", STOP_SECONDS)
    assert seconds_since(began) < STOP_SECONDS
    held.deployment.refresh_from_db()
    done = before in (Status.SWITCHING, Status.LIVE)
    assert held.deployment.status == (Status.LIVE if done else Status.QUEUED)
    if not done:
        assert find_leaks() == []
    faults.up()
    finish(faults, held, Status.LIVE)


def test_cancel(faults: FaultWorld, held: Held) -> None:
    before = Deployment.objects.get(pk=held.deployment.pk).status
    began = time.monotonic()
    accepted = deployment_cancel(deployment=held.deployment, by=None)
    if before in (Status.STARTING, Status.SWITCHING):
        release_soon(held)
    # What is live is not taken back: then it is too late, and nothing waits for it.
    assert accepted is (before != Status.LIVE)
    if accepted:

        def undone() -> bool:
            held.deployment.refresh_from_db()
            # What waits has nothing to undo; another app's deployment is at work meanwhile.
            is_waiting = before == Status.QUEUED
            return held.deployment.status == Status.CANCELLED and (is_waiting or not find_leaks())

        wait_until(undone, "the end of the deployment")
        assert seconds_since(began) < CANCEL_SECONDS
        assert sleeping_builds() == []
    finish(faults, held, Status.CANCELLED if accepted else Status.LIVE)


def test_engine_restart(faults: FaultWorld, held: Held) -> None:
    faults.engine.stop()
    faults.engine.start()
    finish(faults, held, Status.LIVE)


def test_kill_9_while_an_app_with_a_volume_has_made_way(faults: FaultWorld) -> None:
    """Two versions of it never run at once, and one of them answers in the end."""
    faults.prober.failures.clear()
    if faults.mist.pid is None:
        faults.up()
    gap = replace(faults, app=faults.other)
    volume_add(app=gap.app, name="data", path="/data", created_by=None)
    gap.settle(gap.request(), lambda: None)
    for last, status in ((False, Status.LIVE), (True, Status.CANCELLED)):
        before = Deployment.objects.get(app=gap.app, status=Status.LIVE)
        answered = visit(gap)
        held = Checking(gap)
        assert [one.status for one in containers_of(before)] == ["exited"]
        faults.kill()
        if last:
            assert deployment_cancel(deployment=held.deployment, by=None)
        faults.up()
        finish(gap, held, status)
        live = before if last else held.deployment
        assert Deployment.objects.get(app=gap.app, status=Status.LIVE) == live
        if last:
            # What was started again has its own start time, and the proxy a moment to see it.
            wait_until(partial(shows, gap, answered), "the old version's answer")
        else:
            assert visit(gap) == str(gap.version)


def test_cancel_while_the_version_before_takes_its_time_to_end(faults: FaultWorld) -> None:
    """Its grace time may be long: who cancels does not wait for it, and it is not lost."""
    faults.prober.failures.clear()
    if faults.mist.pid is None:
        faults.up()
    gap = replace(faults, app=faults.other, version=500)
    gap.commit()
    if not gap.app.volumes.exists():
        volume_add(app=gap.app, name="data", path="/data", created_by=None)
    App.objects.filter(pk=gap.app.pk).update(stop_signal=App.StopSignal.WINCH, stop_seconds=6)
    gap.settle(gap.request(), lambda: None)
    before, answered = Deployment.objects.get(app=gap.app, status=Status.LIVE), visit(gap)
    with gap.engine.gate.held(rb"^POST .*/stop"):
        deployment = gap.request()
        gap.wait_for(deployment, Status.STARTING)
        assert gap.engine.gate.waiting.wait(60)
        began = time.monotonic()
        assert deployment_cancel(deployment=deployment, by=None)
        gap.wait_for(deployment, Status.CANCELLED)
        assert seconds_since(began) < CANCEL_SECONDS
    gap.settle(deployment, lambda: None)
    assert "is still ending" in gap.story(deployment)
    assert Deployment.objects.get(app=gap.app, status=Status.LIVE) == before
    wait_until(partial(shows, gap, answered), "the old version's answer")
    gap.check(deployment)
    App.objects.filter(pk=gap.app.pk).update(stop_signal="", stop_seconds=None)
