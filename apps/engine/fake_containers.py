"""A Docker engine in memory, with the promises of `base.Containers`."""

from __future__ import annotations

import builtins
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from apps.engine.data import (
    BuildSpec,
    Container,
    ContainerEvent,
    ContainerSpec,
    ContainerStatus,
    EngineInfo,
    LineSink,
    Outcome,
)
from apps.engine.deadline import Deadline
from apps.engine.errors import StartFailed
from apps.engine.fake_output import FakeOutput
from apps.engine.fake_world import STAMP, FakeWorld, is_over
from apps.engine.usage import Usage

_POLL = 0.02
IDLE = Usage(cpu=0, memory=20 * 1024**2, received=0, sent=0, read=0, written=0, pids=1)


class FakeContainers(FakeWorld):
    """What an engine can be asked; `FakeWorld` holds what it knows."""

    def info(self) -> EngineInfo:
        self.enter("info")
        oldest, newest = self.speaks
        return EngineInfo(version="28.0.0", api_version=newest, oldest_api=oldest)

    def live_restore(self) -> bool | None:
        self.enter("live_restore")
        return True

    def ensure_network(self, name: str, *, labels: Mapping[str, str]) -> None:
        self.enter("ensure_network", name)
        self.networks.setdefault(name, dict(labels))

    def remove_network(self, name: str) -> None:
        self.enter("remove_network", name)
        self.networks.pop(name, None)

    def build(self, spec: BuildSpec, *, log: LineSink, deadline: Deadline) -> str:
        log("#1 [1/1] FROM scratch")
        deadline.check()
        self.enter("build", spec.image)
        deadline.check()
        with self._lock:
            self.builds.append(spec)
            self.images[spec.image] = self._exposed(spec)
            self.image_labels[spec.image] = dict(spec.labels)
        return f"sha256:{spec.image}"

    def _exposed(self, spec: BuildSpec) -> tuple[int, ...]:
        if self.ports is not None:
            return self.ports
        text = spec.dockerfile.read_text() if spec.dockerfile.exists() else ""
        return tuple(sorted(int(port) for port in re.findall(r"(?m)^EXPOSE (\d+)", text)))

    def image_exists(self, image: str) -> bool:
        self.enter("image_exists", image)
        return image in self.images

    def exposed_ports(self, image: str) -> tuple[int, ...]:
        self.enter("exposed_ports", image)
        return self.images.get(image, ())

    def start(self, spec: ContainerSpec) -> Container:
        self.enter("start", spec.name)
        return self._make(spec)

    def run_once(self, spec: ContainerSpec, *, log: LineSink, deadline: Deadline) -> Outcome:
        deadline.check()
        container = self._make(spec)
        try:
            for line in self.command_says:
                log(line)
            self.enter("run_once", spec.name)
            deadline.check()
            return self.outcomes.pop(0) if self.outcomes else Outcome(0)
        finally:
            self._drop(container.id)

    def resume(self, container_id: str) -> None:
        self.enter("resume", container_id)
        with self._lock:
            if container_id not in self.all:
                raise StartFailed("The container is gone.")
            if self.all[container_id].status is not ContainerStatus.RUNNING:
                if self.specs[container_id].network not in self.networks:
                    raise StartFailed("The container's network is gone.")
                self._take_ports(self.specs[container_id])
                running = ContainerStatus.RUNNING
                self._set(container_id, status=running, exit_code=None, out_of_memory=False)
                self._emit("start", self.all[container_id])

    def stop(self, container_id: str, *, timeout: int = 10) -> None:
        self.enter("stop", container_id)
        with self._lock:
            if self._is_up(container_id):
                self._set(container_id, status=ContainerStatus.EXITED, exit_code=0)
                self._emit("die", self.all[container_id])
                self._emit("stop", self.all[container_id])

    def remove(self, container_id: str) -> None:
        self.enter("remove", container_id)
        with self._lock:
            self._drop(container_id)

    def inspect(self, container_id: str) -> Container | None:
        self.enter("inspect", container_id)
        return self.all.get(container_id)

    def usage(self, container_ids: Iterable[str]) -> Mapping[str, Usage]:
        self.enter("usage")
        return {one: self.used.get(one, IDLE) for one in container_ids if self._runs(one)}

    def storage(self) -> Path:
        self.enter("storage")
        return Path("/")

    def list(self, *, labels: Mapping[str, str]) -> builtins.list[Container]:
        self.enter("list")
        with self._lock:
            return [c for c in self.all.values() if labels.items() <= c.labels.items()]

    def logs(
        self, container_id: str, *, tail: int = 200, timestamps: bool = False
    ) -> builtins.list[str]:
        self.enter("logs", container_id)
        if container_id not in self.all:
            return []
        lines = self.says[-tail:]
        return [f"{STAMP} {line}" for line in lines] if timestamps else lines

    def follow_logs(
        self, container_id: str, *, tail: int = 200, deadline: Deadline
    ) -> Iterator[str]:
        self.enter("follow_logs", container_id)
        seen = max(0, len(self.says) - tail)
        while container_id in self.all and not is_over(deadline):
            running = self._runs(container_id)
            fresh = self.says[seen:]
            yield from fresh
            seen += len(fresh)
            if not running:
                return
            time.sleep(_POLL)

    def output(
        self, container_id: str, *, since: str = "", tail: int | None = None, follow: bool = False
    ) -> FakeOutput:
        self.enter("output", container_id)
        return FakeOutput(
            lines=lambda: self.output_of(container_id) if container_id in self.all else [],
            runs=lambda: self._runs(container_id),
            since=since,
            tail=tail,
            follow=follow,
        )

    def events(self, *, labels: Mapping[str, str], deadline: Deadline) -> Iterator[ContainerEvent]:
        """Events from the moment of the call on, to every caller."""
        with self._lock:
            self.enter("events")
            seen = len(self._events)
        return self._events_since(seen, dict(labels), deadline)

    def _events_since(
        self, seen: int, labels: dict[str, str], deadline: Deadline
    ) -> Iterator[ContainerEvent]:
        while not is_over(deadline):
            with self._grown:
                if len(self._events) == seen:
                    self._grown.wait(_POLL)
                fresh = self._events[seen:]
            seen += len(fresh)
            yield from (event for event in fresh if labels.items() <= event.labels.items())
