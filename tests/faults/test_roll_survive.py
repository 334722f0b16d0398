"""Containers that are replaced one by one meet every fault midway, on a real engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from docker.errors import NotFound
from pytest_django import DjangoDbBlocker

from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel
from apps.engine.data import Container, ContainerStatus
from apps.projects.models import App
from apps.system.management.soak_invariants import find_leaks
from tests.faults.stages import WAITS_FOR_GO, Held, containers_of, tell_to_go
from tests.faults.world import FaultWorld, fault_world, seconds_since
from tests.machine.beside import beside
from tests.machine.world import wait_until

pytestmark = pytest.mark.docker
REPLICAS = 3
CANCEL_SECONDS = 10.0
"""Two where nothing else runs. What is cancelled is held up and would not end by itself."""
GRACE_SECONDS = 15
STOP_SECONDS = 40.0
"""As the one before: less than ten."""


@pytest.fixture(scope="module")
def faults(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[FaultWorld]:
    with django_db_blocker.unblock(), fault_world(tmp_path_factory.mktemp("faults")) as world:
        App.objects.filter(pk=world.app.pk).update(replicas=REPLICAS)
        world.settle(world.request(), lambda: None)
        yield world


class Midway(Held):
    """So many are replaced, and the next one's health check is late."""

    def __init__(self, world: FaultWorld, replaced: int) -> None:
        super().__init__(world)
        self.replaced = replaced
        self.before = Deployment.objects.get(app=world.app, status=Status.LIVE)
        world.commit(files={"site/cgi-bin/healthz": WAITS_FOR_GO})
        self.deployment = world.request()
        for number in range(1, replaced + 1):
            wait_until(partial(self._goes, number), f"container {number}", 180)
        wait_until(lambda: f"{replaced} of {REPLICAS} replaced" in self.said(), "midway")
        wait_until(lambda: len(self._started()) == replaced + 1, "the next one")

    def said(self) -> str:
        return self.world.story(self.deployment)

    def _started(self) -> list[Container]:
        return [one for one in containers_of(self.deployment) if one.status == "running"]

    def _goes(self, number: int) -> bool:
        self.deployment.refresh_from_db()
        name = self.deployment.name_of(number)
        client = self.world.engine.client()
        try:
            with suppress(NotFound, FileNotFoundError, ProcessLookupError):
                pid = client.api.inspect_container(name)["State"]["Pid"]
                Path(f"/proc/{pid}/root/tmp/go").touch()
                return bool(pid)
        finally:
            client.close()
        return False

    def release(self) -> None:
        tell_to_go(self.world, self.deployment)


@pytest.fixture(params=[1, 2])
def midway(request: pytest.FixtureRequest, faults: FaultWorld) -> Iterator[Midway]:
    faults.prober.failures.clear()
    if faults.mist.pid is None:
        faults.up()
    found = Midway(faults, request.param)
    try:
        yield found
    finally:
        found.release()


@contextmanager
def never_more_than(most: int, world: FaultWorld) -> Iterator[None]:
    """So many of the app's containers run at any moment, old and new ones together."""
    seen = [0]
    client = world.engine.client()
    label = f"mist.app={world.app.pk}"

    def look(over: threading.Event) -> None:
        while not over.wait(0.05):
            with suppress(Exception):  # The engine may be away.
                seen.append(len(client.containers.list(filters={"label": label}, sparse=True)))

    try:
        with beside(look):
            yield
    finally:
        client.close()
    assert max(seen) <= most


def finish(world: FaultWorld, held: Midway, status: Status) -> None:
    world.settle(held.deployment, held.release)
    assert held.deployment.status == status, world.story(held.deployment)
    world.check(held.deployment)
    is_whole(world, held.deployment if status == Status.LIVE else held.before)


def is_whole(world: FaultWorld, live: Deployment) -> None:
    row = Deployment.objects.get(app=world.app, status=Status.LIVE)
    assert row == live and row.replicas == REPLICAS
    states = {one.status for one in containers_of(row)}
    assert states == {ContainerStatus.RUNNING} and len(containers_of(row)) == REPLICAS


def test_kill_9(faults: FaultWorld, midway: Midway) -> None:
    with never_more_than(REPLICAS + 1, faults):
        faults.kill()
        faults.up()
        finish(faults, midway, Status.LIVE)


def test_kill_9_of_one_that_is_cancelled(faults: FaultWorld, midway: Midway) -> None:
    with never_more_than(REPLICAS + 1, faults):
        faults.kill()
        assert deployment_cancel(deployment=midway.deployment, by=None)
        faults.up()
        finish(faults, midway, Status.CANCELLED)


def test_kill_9_on_the_way_back(faults: FaultWorld, midway: Midway) -> None:
    with never_more_than(REPLICAS + 1, faults):
        with faults.engine.gate.held(rb"^POST .*/containers/[^/]*/start"):
            assert deployment_cancel(deployment=midway.deployment, by=None)
            assert faults.engine.gate.waiting.wait(60)
            faults.kill()
        faults.up()
        finish(faults, midway, Status.CANCELLED)


def test_sigterm(faults: FaultWorld, midway: Midway) -> None:
    faults.ask_to_end()
    began = time.monotonic()
    wait_until(lambda: faults.mist.pid is None, "the end of Mist", STOP_SECONDS)
    assert seconds_since(began) < STOP_SECONDS
    midway.deployment.refresh_from_db()
    assert (midway.deployment.status, midway.deployment.owner) == (Status.SWITCHING, "")
    with never_more_than(REPLICAS + 1, faults):
        faults.up()
        finish(faults, midway, Status.LIVE)


def test_cancel(faults: FaultWorld, midway: Midway) -> None:
    with never_more_than(REPLICAS + 1, faults):
        began = time.monotonic()
        assert deployment_cancel(deployment=midway.deployment, by=None)
        faults.wait_for(midway.deployment, Status.CANCELLED)
        took = seconds_since(began)
        assert took < CANCEL_SECONDS, f"{took:.1f} s"
        finish(faults, midway, Status.CANCELLED)
    assert find_leaks() == []


def test_engine_restart(faults: FaultWorld, midway: Midway) -> None:
    faults.engine.stop()
    faults.engine.start()
    finish(faults, midway, Status.LIVE)


def test_cancel_while_an_old_one_has_its_grace_time(faults: FaultWorld) -> None:
    """It ends at once all the same, and others are deployed while what was live comes back."""
    faults.prober.failures.clear()
    of_app = App.objects.filter(pk=faults.app.pk)
    # Nobody ends because of this one.
    of_app.update(stop_signal=App.StopSignal.WINCH, stop_seconds=GRACE_SECONDS)
    faults.commit()
    before = faults.request()
    faults.settle(before, lambda: None)
    assert before.status == Status.LIVE, faults.story(before)
    faults.commit()
    deployment = faults.request()
    with never_more_than(REPLICAS + 1, faults):
        wait_until(lambda: "Stopping container" in faults.story(deployment), "its end", 180)
        began = time.monotonic()
        assert deployment_cancel(deployment=deployment, by=None)
        faults.wait_for(deployment, Status.CANCELLED)
        assert seconds_since(began) < CANCEL_SECONDS
        faults.wait_for(faults.request(faults.other), Status.LIVE)
        deployment.refresh_from_db()
        assert deployment.is_going_back, faults.story(deployment)
        faults.settle(deployment, lambda: None)
    assert "All containers of" in faults.story(deployment)
    faults.check(deployment)
    is_whole(faults, before)
