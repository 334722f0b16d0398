"""How a deployment is brought to a stage and held there until it is released."""

from __future__ import annotations

import http.client
import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
from docker.errors import NotFound

from apps.deployments.models import Deployment, Status
from apps.deployments.planning import deployment_labels
from apps.deployments.traffic import route_lock
from apps.engine.connect import get_engine
from apps.engine.data import Container
from apps.engine.errors import EngineError
from apps.projects.models import App
from tests.faults.world import FaultWorld
from tests.machine.world import wait_until

SLEEP = "4321"
"""Seconds that the slow build sleeps, by which its process is found."""
WAITS_FOR_GO = """#!/bin/sh
while [ ! -e /tmp/go ]; do sleep 0.1; done
printf 'Content-Type: text/plain\\r\\n\\r\\nok\\n'
"""


class Held:
    """A deployment at some stage. `release` lets it go on and may be called any number of times:
    one that began again comes to the same place again."""

    def __init__(self, world: FaultWorld) -> None:
        self.world = world
        self.deployment: Deployment
        self._opened = ExitStack()

    def release(self) -> None:
        self._opened.close()

    def done(self) -> None:
        """What is to be true in the end besides all invariants."""


class Waiting(Held):
    """Another app's deployment has the only place."""

    def __init__(self, world: FaultWorld) -> None:
        super().__init__(world)
        world.commit()
        self._first = Cloning(world, world.request(world.other))
        self.deployment = world.request()

    def release(self) -> None:
        self._first.release()


class Cloning(Held):
    """The Git host has taken the request and says nothing."""

    def __init__(self, world: FaultWorld, deployment: Deployment | None = None) -> None:
        super().__init__(world)
        world.git.stalled.set()
        world.git.asked.clear()
        if deployment is None:
            world.commit()
        self.deployment = deployment or world.request()
        world.wait_for(self.deployment, Status.CLONING)
        assert world.git.asked.wait(60)

    def release(self) -> None:
        self.world.git.stalled.clear()


def sleeping_builds() -> list[psutil.Process]:
    """The slow step's processes, seen from outside of its container."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] == ["sleep", SLEEP]
    ]


class Building(Held):
    """A build step sleeps, all its lines being said."""

    def __init__(self, world: FaultWorld) -> None:
        super().__init__(world)
        world.commit(dockerfile=f"RUN sleep {SLEEP} || true\n")
        self.deployment = world.request()
        world.wait_for(self.deployment, Status.BUILDING)
        wait_until(lambda: bool(sleeping_builds()), "the slow step")

    def release(self) -> None:
        for process in sleeping_builds():
            process.terminate()


class Releasing(Held):
    """The release command waits."""

    def __init__(self, world: FaultWorld) -> None:
        super().__init__(world)
        world.commit()
        command = "sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done'"
        App.objects.filter(pk=world.app.pk).update(release_command=command)
        self.deployment = world.request()
        world.wait_for(self.deployment, Status.RELEASING)
        wait_until(lambda: bool(containers_of(self.deployment)), "the command's container")

    def release(self) -> None:
        tell_to_go(self.world, self.deployment)

    def done(self) -> None:
        App.objects.filter(pk=self.world.app.pk).update(release_command="")


class Starting(Held):
    """The engine takes its time to create the container."""

    def __init__(self, world: FaultWorld) -> None:
        super().__init__(world)
        self._opened.enter_context(world.engine.gate.held(rb"^POST .*/containers/create"))
        world.commit()
        self.deployment = world.request()
        world.wait_for(self.deployment, Status.STARTING)
        assert world.engine.gate.waiting.wait(60)


class Checking(Held):
    """The health check's answer is late."""

    def __init__(self, world: FaultWorld) -> None:
        super().__init__(world)
        world.commit(files={"site/cgi-bin/healthz": WAITS_FOR_GO})
        self.deployment = world.request()
        world.wait_for(self.deployment, Status.CHECKING)

    def release(self) -> None:
        tell_to_go(self.world, self.deployment)


class Switching(Held):
    """Before the route is written; with `moved` the proxy leads to the new version already and the
    database cannot be written."""

    def __init__(self, world: FaultWorld, *, moved: bool = False) -> None:
        super().__init__(world)
        world.commit()
        lock = self._opened.enter_context(ExitStack())
        lock.enter_context(route_lock(world.app))
        self.deployment = world.request()
        world.wait_for(self.deployment, Status.SWITCHING)
        if not moved:
            return
        database = sqlite3.connect(world.mist.data_dir / "mist.db", isolation_level=None)
        self._opened.callback(database.close)
        database.execute("BEGIN IMMEDIATE")
        lock.close()
        wait_until(lambda: visit(world) == str(world.version), "the new version's answer")


class Draining(Held):
    """A visitor's request to the old version is not answered yet."""

    def __init__(self, world: FaultWorld) -> None:
        super().__init__(world)
        old = Deployment.objects.get(app=world.app, status=Status.LIVE)
        self._old, self._answer = old, list[str]()
        self._visitor = threading.Thread(target=self._visit)
        self._visitor.start()
        wait_until(lambda: bool(processes_of("hold")), "the slow request")
        world.commit()
        self.deployment = world.request()
        world.wait_for(self.deployment, Status.LIVE)
        self.deployment.refresh_from_db()
        assert self.deployment.is_draining

    def _visit(self) -> None:
        self._answer.append(visit(self.world, "/cgi-bin/hold"))

    def release(self) -> None:
        tell_to_go(self.world, self._old)

    def done(self) -> None:
        self._visitor.join(90)
        assert self._answer == ["held"]


STAGES: dict[str, Callable[[FaultWorld], Held]] = {
    "waiting": Waiting,
    "cloning": Cloning,
    "building": Building,
    "releasing": Releasing,
    "starting": Starting,
    "checking": Checking,
    "switching": Switching,
    "draining": Draining,
}


def visit(world: FaultWorld, path: str = "/") -> str:
    http_port = int(world.mist.env["MIST_HTTP_PORT"])
    one = http.client.HTTPConnection("127.0.0.1", http_port, timeout=180)
    try:
        one.request("GET", path, headers={"Host": world.app.host})
        return one.getresponse().read().decode().strip()
    finally:
        one.close()


def processes_of(script: str) -> list[psutil.Process]:
    """Those that run the sample's script."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[-1].endswith(f"cgi-bin/{script}")
        or f"./{script}" in (process.info["cmdline"] or ())
        or script in (process.info["cmdline"] or ())
    ]


def containers_of(deployment: Deployment) -> list[Container]:
    """Its app's and its commands', none while the engine is away."""
    try:
        return get_engine().containers.list(labels=deployment_labels(deployment))
    except EngineError:
        return []


def tell_to_go(world: FaultWorld, deployment: Deployment) -> None:
    """Make /tmp/go in its containers, from outside."""
    client = world.engine.client()
    for container in containers_of(deployment):
        # One that is gone by now waits for nothing.
        with suppress(NotFound, FileNotFoundError, ProcessLookupError):
            pid = client.api.inspect_container(container.id)["State"]["Pid"]
            if pid:
                Path(f"/proc/{pid}/root/tmp/go").touch()
    client.close()
