"""The containers, images and networks of the fake engine, and what a test does to them."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from dataclasses import replace
from typing import Any

from apps.engine.data import (
    BuildSpec,
    Container,
    ContainerEvent,
    ContainerSpec,
    ContainerStatus,
    Outcome,
    OutputLine,
)
from apps.engine.deadline import Deadline
from apps.engine.errors import Cancelled, StartFailed, TimedOut
from apps.engine.fake_faults import Call
from apps.engine.fake_registry import FakeRegistries
from apps.engine.usage import Usage

STAMP = "2026-01-01T00:00:00.000000000Z"


class FakeWorld(FakeRegistries):
    actor = "containers"

    def __init__(self, journal: list[Call] | None = None) -> None:
        super().__init__(journal)
        self.builds: list[BuildSpec] = []
        self.published, self.tags, self.logins, self.shown = {}, {}, {}, []
        self.ports: tuple[int, ...] | None = None
        """What built images expose, None for what their Dockerfile says."""
        self.says: list[str] = ["listening"]
        """What every container writes; a test may append while somebody follows."""
        self.command_says: list[str] = ["done"]
        """What every command of `run_once` writes."""
        self.speaks = ("1.24", "1.48")
        """The oldest and newest version of the engine's API."""
        self.outcomes: list[Outcome] = []
        """How commands end, in turn; afterwards well."""
        self.used: dict[str, Usage] = {}
        """Container id → what a test wants it to have used; others idle."""
        self.written: dict[str, list[OutputLine]] = {}
        """Container → what it writes beyond `says`."""
        self._events: list[ContainerEvent] = []
        self._grown = threading.Condition(self._lock)
        self._ids = itertools.count(1)
        self._hosts = itertools.count(1)

    def write(
        self, container_id: str, text: str, *, stream: str = "out", stamp: str = STAMP
    ) -> None:
        """What that one container writes beyond `says`."""
        self.written.setdefault(container_id, []).append(OutputLine(stamp, stream, text))

    def output_of(self, container_id: str) -> list[OutputLine]:
        """All that it wrote so far."""
        common = [OutputLine(STAMP, "out", text) for text in list(self.says)]
        return common + self.written.get(container_id, [])

    def kill(self, container_id: str, *, exit_code: int = 137, oom: bool = False) -> None:
        """What a crash looks like from outside."""
        with self._lock:
            if oom:
                self._emit("oom", self.all[container_id])
            exited = ContainerStatus.EXITED
            self._set(container_id, status=exited, exit_code=exit_code, out_of_memory=oom)
            self._emit("die", self.all[container_id])

    def lose_networks(self) -> None:
        """Somebody removes every network, cutting containers off."""
        with self._lock:
            self.networks.clear()
            for container in self.all.values():
                self.all[container.id] = replace(container, addresses={})

    def age(self, container_id: str, *, seconds: float) -> None:
        """It was made that long ago."""
        made = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
        self.all[container_id] = replace(self.all[container_id], created_at=made)

    def _runs(self, container_id: str) -> bool:
        container = self.all.get(container_id)
        return container is not None and container.status is ContainerStatus.RUNNING

    def _is_up(self, container_id: str) -> bool:
        paused = ContainerStatus.PAUSED
        container = self.all.get(container_id)
        return self._runs(container_id) or (container is not None and container.status is paused)

    def _drop(self, container_id: str) -> None:
        container = self.all.pop(container_id, None)
        if container is None:
            return
        if container.status is ContainerStatus.RUNNING:
            self._emit("die", replace(container, exit_code=137))
        self._emit("destroy", container)

    def _set(self, container_id: str, **changes: Any) -> None:
        if changes["status"] is not ContainerStatus.RUNNING:
            changes["addresses"] = {}
        else:
            network = self.specs[container_id].network
            addresses = {network: self._free_address()}
            changes |= {"addresses": addresses, "started_at": dt.datetime.now(dt.UTC)}
        self.all[container_id] = replace(self.all[container_id], **changes)

    def _free_address(self) -> str:
        """Of one that starts: never the one it had before, and that of no other that runs."""
        number = next(self._hosts)
        return f"10.192.{number // 253 % 256}.{number % 253 + 2}"

    def _emit(self, action: str, container: Container) -> None:
        event = ContainerEvent(
            action=action,
            container_id=container.id,
            labels=container.labels,
            time=dt.datetime.now(dt.UTC),
            exit_code=container.exit_code if action == "die" else None,
        )
        with self._grown:
            self._events.append(event)
            self._grown.notify_all()

    def _take_ports(self, spec: ContainerSpec) -> None:
        """Raises `StartFailed` when another container that runs has one of them."""
        wanted = {(one.port, one.protocol) for one in spec.ports}
        for key, other in self.specs.items():
            taken = wanted & {(one.port, one.protocol) for one in other.ports}
            if taken and other.name != spec.name and self._runs(key):
                port = min(taken)[0]
                raise StartFailed(f"Port {port} of the server is taken by another program.")

    def _make(self, spec: ContainerSpec) -> Container:
        with self._lock:
            for old in [c for c in self.all.values() if c.name == spec.name]:
                self._drop(old.id)
            if spec.image not in self.images:
                raise StartFailed(f"There is no image {spec.image}.")
            if spec.network not in self.networks:
                raise StartFailed(f"There is no network {spec.network}.")
            self._take_ports(spec)
            self.volumes |= {one.volume: dict(one.labels) for one in spec.volumes}
            number = next(self._ids)
            container = Container(
                id=f"{number:064x}",
                name=spec.name,
                status=ContainerStatus.RUNNING,
                labels=dict(spec.labels),
                restart=spec.restart,
                image=spec.image,
                created_at=dt.datetime.now(dt.UTC),
                started_at=dt.datetime.now(dt.UTC),
                addresses={spec.network: self._free_address()},
            )
            self.all[container.id] = container
            self.specs[container.id] = spec
            self._emit("start", container)
        return container


def is_over(deadline: Deadline) -> bool:
    """Whether its time is up or somebody has cancelled."""
    try:
        deadline.check()
    except (Cancelled, TimedOut):
        return True
    return False
