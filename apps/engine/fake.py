"""An engine in memory: quick, and able to fail at any step a test names.

It keeps the promises of `base`: names are unique, absent things may be removed, deadlines are
honoured, a route is confirmed only when its service runs. `fail()` plants a fault or a hook.
"""

from __future__ import annotations

import datetime as dt
import itertools
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.engine.base import (
    BuildSpec,
    Commit,
    Container,
    ContainerEvent,
    ContainerSpec,
    ContainerStatus,
    Engine,
    EngineConfig,
    EngineInfo,
    LineSink,
    ProbeResult,
)
from apps.engine.deadline import Deadline
from apps.engine.errors import BranchNotFound, StartFailed, SwitchFailed

Fault = Exception | Callable[[], None]


class Faults:
    """Planted faults, taken once each in the order they were planted."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self._planted: dict[str, list[Fault]] = defaultdict(list)
        self._lock = threading.RLock()

    def fail(self, step: str, fault: Fault) -> None:
        """The next call of `step` raises the exception, or runs the hook and goes on."""
        self._planted[step].append(fault)

    def enter(self, step: str, subject: str = "") -> None:
        with self._lock:
            self.calls.append((step, subject))
            fault = self._planted[step].pop(0) if self._planted[step] else None
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            fault()


class FakeGit(Faults):
    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, str] = {"Dockerfile": "FROM scratch\nEXPOSE 8000\n"}
        self.commits: dict[str, Commit] = {}
        self.commit("first version")

    def commit(self, message: str, branch: str = "main") -> Commit:
        """A new commit at the branch's tip."""
        commit = Commit(
            sha=f"{len(self.commits) + 1:040x}",
            message=message,
            author="Alice",
            committed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )
        self.commits[branch] = self.commits[commit.sha] = commit
        return commit

    def fetch(
        self, *, url: str, mirror: Path, ref: str, log: LineSink, deadline: Deadline
    ) -> Commit:
        self.enter("fetch", ref)
        deadline.check()
        if ref not in self.commits:
            known = ", ".join(b for b in self.commits if len(b) != 40)
            raise BranchNotFound(f"Branch {ref} does not exist.", hint=f"There are: {known}.")
        log(f"From {url}")
        return self.commits[ref]

    def checkout(self, *, mirror: Path, sha: str, target: Path, deadline: Deadline) -> None:
        self.enter("checkout", sha)
        deadline.check()
        for name, text in self.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


class FakeContainers(Faults):
    def __init__(self) -> None:
        super().__init__()
        self.all: dict[str, Container] = {}
        self.specs: dict[str, ContainerSpec] = {}
        self.builds: list[BuildSpec] = []
        self.images: dict[str, tuple[int, ...]] = {}
        self.networks: dict[str, dict[str, str]] = {}
        self.ports: tuple[int, ...] = (8000,)
        self.output: list[str] = ["listening"]
        self.event_queue: queue.Queue[ContainerEvent] = queue.Queue()
        self._ids = itertools.count(1)

    def info(self) -> EngineInfo:
        self.enter("info")
        return EngineInfo(version="28.0.0", api_version="1.48")

    def ensure_network(self, name: str, *, labels: Mapping[str, str]) -> None:
        self.enter("ensure_network", name)
        self.networks[name] = dict(labels)

    def remove_network(self, name: str) -> None:
        self.enter("remove_network", name)
        self.networks.pop(name, None)

    def build(self, spec: BuildSpec, *, log: LineSink, deadline: Deadline) -> str:
        log("#1 [1/1] FROM scratch")
        self.enter("build", spec.image)
        deadline.check()
        self.builds.append(spec)
        self.images[spec.image] = self.ports
        return f"sha256:{spec.image}"

    def image_exists(self, image: str) -> bool:
        return image in self.images

    def exposed_ports(self, image: str) -> tuple[int, ...]:
        return self.images.get(image, ())

    def remove_image(self, image: str) -> None:
        self.enter("remove_image", image)
        self.images.pop(image, None)

    def start(self, spec: ContainerSpec) -> Container:
        self.enter("start", spec.name)
        if spec.image not in self.images:
            raise StartFailed(f"There is no image {spec.image}.")
        with self._lock:
            for old in [c for c in self.all.values() if c.name == spec.name]:
                self.remove(old.id)
            container = Container(
                id=f"{next(self._ids):064x}",
                name=spec.name,
                status=ContainerStatus.RUNNING,
                labels=dict(spec.labels),
                image=spec.image,
                started_at=dt.datetime.now(dt.UTC),
                addresses={spec.network: "10.192.0.2"},
            )
            self.all[container.id] = container
            self.specs[container.id] = spec
        self._emit("start", container)
        return container

    def resume(self, container_id: str) -> None:
        self.enter("resume", container_id)
        if container_id not in self.all:
            raise StartFailed("The container is gone.")
        self._set(container_id, status=ContainerStatus.RUNNING, exit_code=None)
        self._emit("start", self.all[container_id])

    def stop(self, container_id: str, *, timeout: int = 10) -> None:
        self.enter("stop", container_id)
        if container_id in self.all:
            self._set(container_id, status=ContainerStatus.EXITED, exit_code=0)
            self._emit("die", self.all[container_id])

    def remove(self, container_id: str) -> None:
        self.enter("remove", container_id)
        container = self.all.pop(container_id, None)
        if container is not None:
            self._emit("destroy", container)

    def inspect(self, container_id: str) -> Container | None:
        self.enter("inspect", container_id)
        return self.all.get(container_id)

    def list(self, *, labels: Mapping[str, str]) -> list[Container]:
        self.enter("list")
        return [c for c in self.all.values() if labels.items() <= c.labels.items()]

    def logs(self, container_id: str, *, tail: int = 200, timestamps: bool = False) -> _Lines:
        return self.output[-tail:]

    def follow_logs(
        self, container_id: str, *, tail: int = 200, deadline: Deadline
    ) -> Iterator[str]:
        yield from self.output[-tail:]

    def events(self, *, labels: Mapping[str, str], deadline: Deadline) -> Iterator[ContainerEvent]:
        while deadline.remaining() > 0:
            try:
                event = self.event_queue.get(timeout=min(0.1, deadline.remaining()))
            except queue.Empty:
                deadline.check()
                continue
            if labels.items() <= event.labels.items():
                yield event

    def kill(self, container_id: str, *, exit_code: int = 137, oom: bool = False) -> None:
        """What a crash looks like from outside."""
        self._set(
            container_id,
            status=ContainerStatus.EXITED,
            exit_code=exit_code,
            out_of_memory=oom,
        )
        self._emit("die", self.all[container_id])

    def _set(self, container_id: str, **changes: Any) -> None:
        with self._lock:
            self.all[container_id] = replace(self.all[container_id], **changes)

    def _emit(self, action: str, container: Container) -> None:
        self.event_queue.put(
            ContainerEvent(
                action=action,
                container_id=container.id,
                labels=container.labels,
                time=dt.datetime.now(dt.UTC),
                exit_code=container.exit_code,
            )
        )


_Lines = list[str]


class FakeProxy(Faults):
    def __init__(self, containers: FakeContainers) -> None:
        super().__init__()
        self.routes: dict[str, Mapping[str, Any]] = {}
        self.answers: list[ProbeResult] = []
        """Given in turn; healthy once they are used up and the container runs."""
        self._containers = containers
        self._running = False

    def running(self) -> bool:
        return self._running

    def ensure_running(self) -> None:
        self.enter("ensure_running")
        self._running = True

    def stop(self) -> None:
        self._running = False

    def probe(self, *, host: str, path: str, timeout: float = 5.0) -> ProbeResult:
        self.enter("probe", host)
        if self.answers:
            return self.answers.pop(0)
        up = any(
            host == f"{c.name}.mist.internal" and c.status is ContainerStatus.RUNNING
            for c in self._containers.all.values()
        )
        return ProbeResult(200, 1.0) if up else ProbeResult(None, 1.0, "nothing runs")

    def write_routes(self, app: str, routes: Mapping[str, Any]) -> None:
        self.enter("write_routes", app)
        self.routes[app] = routes

    def read_routes(self, app: str) -> Mapping[str, Any] | None:
        return self.routes.get(app)

    def remove_routes(self, app: str) -> None:
        self.enter("remove_routes", app)
        self.routes.pop(app, None)

    def wait_for_route(self, *, router: str, service: str, deadline: Deadline) -> None:
        self.enter("wait_for_route", router)
        deadline.check()
        for routes in self.routes.values():
            found = routes.get("http", {}).get("routers", {}).get(router)
            if found and found["service"] == f"{service}@docker":
                return
        raise SwitchFailed(f"The proxy has no route {router} to {service}.")

    def wait_until_gone(self, *, router: str, deadline: Deadline) -> None:
        self.enter("wait_until_gone", router)


def make_engine(config: EngineConfig) -> Engine:
    """A fresh world, empty but for one commit on `main`."""
    containers = FakeContainers()
    return Engine(
        git=FakeGit(), containers=containers, proxy=FakeProxy(containers), config=config
    )
