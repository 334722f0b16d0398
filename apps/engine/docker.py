"""Containers, images and networks of the Docker engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from apps.engine import networks, storage
from apps.engine.cgroups import CgroupReader
from apps.engine.client import api_errors, guard, make_client, own_client
from apps.engine.creation import create_container, image_gone, is_in_between, start_failed
from apps.engine.data import (
    Container,
    ContainerEvent,
    ContainerSpec,
    EngineConfig,
    EngineInfo,
    LineSink,
    Outcome,
)
from apps.engine.deadline import Deadline
from apps.engine.disk import EngineDisk, StoredNetwork
from apps.engine.errors import EngineError, StartFailed
from apps.engine.facts import read_container, read_event
from apps.engine.images import DockerImages
from apps.engine.one_off import run_once
from apps.engine.output import DockerOutput
from apps.engine.stats_api import ask_usage
from apps.engine.streams import until
from apps.engine.usage import Usage

SETTLE_SECONDS, SETTLE_PAUSE = 10.0, 0.2


class DockerContainers(DockerImages):
    """Implements `base.Containers` with the docker SDK."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._cgroups = CgroupReader()

    def info(self) -> EngineInfo:
        with guard():
            version = self._client.version()
            return EngineInfo(
                version=version["Version"],
                api_version=version["ApiVersion"],
                oldest_api=version.get("MinAPIVersion", ""),
            )

    def live_restore(self) -> bool | None:
        with guard(), api_errors():
            facts = self._client.info()
        in_swarm = (facts.get("Swarm") or {}).get("LocalNodeState", "inactive") != "inactive"
        return None if in_swarm else bool(facts.get("LiveRestoreEnabled"))

    # ---------------------------------------------------------------------------------- networks

    def ensure_network(self, name: str, *, labels: Mapping[str, str]) -> None:
        with guard(), api_errors():
            networks.ensure_network(self._client, self._config, name, labels)

    def remove_network(self, name: str) -> None:
        with guard(), api_errors():
            networks.remove_network(self._client, self._config, name)

    # ------------------------------------------------------------------------------- containers

    def start(self, spec: ContainerSpec) -> Container:
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return self._start(spec)
            except StartFailed as error:
                # What a killed Mist had asked for, the engine may finish only now.
                if not is_in_between(error.detail) or time.monotonic() > until:
                    raise
            time.sleep(SETTLE_PAUSE)

    def _start(self, spec: ContainerSpec) -> Container:
        with guard():
            try:
                self._remove(spec.name)
                made = create_container(self._client, spec)
            except ImageNotFound as error:
                raise image_gone(spec) from error
            except APIError as error:
                raise start_failed(error) from error
            try:
                made.start()
                made.reload()
            except BaseException as error:
                with contextlib.suppress(EngineError, APIError):
                    self._remove(spec.name)
                if isinstance(error, APIError):
                    raise start_failed(error) from error
                raise
            return read_container(made.attrs)

    def run_once(self, spec: ContainerSpec, *, log: LineSink, deadline: Deadline) -> Outcome:
        return run_once(
            self._client,
            spec,
            output=lambda container, since: self.output(container, since=since, follow=True),
            log=log,
            deadline=deadline,
        )

    def resume(self, container_id: str) -> None:
        with guard():
            try:
                self._client.containers.get(container_id).start()
            except NotFound as error:
                raise StartFailed("The container is gone.", hint="Deploy again.") from error
            except APIError as error:
                raise start_failed(error) from error

    def stop(self, container_id: str, *, timeout: int = 10) -> None:
        with guard(), api_errors():
            try:
                container = self._client.containers.get(container_id)
                own = container.attrs["Config"].get("StopTimeout")
                # Said to the SDK too, which otherwise gives up before a long grace time is over.
                container.stop(timeout=timeout if own is None else own)
            except NotFound:
                pass

    def remove(self, container_id: str) -> None:
        with guard(), api_errors():
            self._remove(container_id)

    def _remove(self, name_or_id: str) -> None:
        try:
            self._client.containers.get(name_or_id).remove(v=True, force=True)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # its removal is in progress already
                raise

    def inspect(self, container_id: str) -> Container | None:
        with guard(), api_errors():
            try:
                return read_container(self._client.api.inspect_container(container_id))
            except NotFound:
                return None

    def usage(self, container_ids: Iterable[str]) -> Mapping[str, Usage]:
        wanted = list(container_ids)
        found = self._cgroups.read(wanted)
        if found or not wanted:
            return found
        with guard():
            client = self._client
            return ask_usage(wanted, lambda one: client.api.stats(one, stream=False, one_shot=True))

    def storage(self) -> Path:
        with guard(), api_errors():
            return Path(str(self._client.info()["DockerRootDir"]))

    def disk(self) -> EngineDisk:
        with guard(), api_errors():
            return storage.measure(self._client)

    def prune_cache(self, *, keep: int) -> int:
        with guard(), api_errors():
            return storage.prune_cache(self._client, keep)

    def list_networks(self, *, labels: Mapping[str, str]) -> _Networks:
        with guard(), api_errors():
            return storage.list_networks(self._client, labels)

    def list(self, *, labels: Mapping[str, str]) -> list[Container]:
        wanted = [f"{key}={value}" for key, value in labels.items()]
        found = []
        with guard(), api_errors():
            for row in self._client.api.containers(all=True, filters={"label": wanted}):
                # The list lacks exit codes and addresses; a container may go in between.
                with contextlib.suppress(NotFound):
                    found.append(read_container(self._client.api.inspect_container(row["Id"])))
        return found

    # --------------------------------------------------------------------------- logs and events

    def logs(self, container_id: str, *, tail: int = 200, timestamps: bool = False) -> _Lines:
        with guard(), api_errors():
            try:
                raw = self._client.containers.get(container_id).logs(
                    tail=tail, timestamps=timestamps
                )
            except NotFound:
                return []
        return [line.rstrip("\r") for line in raw.decode(errors="replace").splitlines()]

    def follow_logs(
        self, container_id: str, *, tail: int = 200, deadline: Deadline
    ) -> Iterator[str]:
        with own_client(self._config.docker_host) as client:
            with guard(), api_errors():
                try:
                    container = client.containers.get(container_id)
                except NotFound:
                    return
                stream = container.logs(stream=True, follow=True, tail=tail)
            rest = b""
            for piece in until(stream, stream.close, deadline):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace").rstrip("\r")
            if rest:
                yield rest.decode(errors="replace")

    def output(
        self, container_id: str, *, since: str = "", tail: int | None = None, follow: bool = False
    ) -> DockerOutput:
        with guard():
            return DockerOutput(
                make_client(self._config.docker_host),
                container_id,
                since=since,
                tail=tail,
                follow=follow,
            )

    def events(self, *, labels: Mapping[str, str], deadline: Deadline) -> Iterator[ContainerEvent]:
        filters = {"type": "container", "label": [f"{k}={v}" for k, v in labels.items()]}
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(own_client(self._config.docker_host))
            with guard(), api_errors():
                stream = client.events(decode=True, filters=filters)
            opened = stack.pop_all()
        return self._events(stream, opened, deadline)

    @staticmethod
    def _events(
        stream: Any, opened: contextlib.ExitStack, deadline: Deadline
    ) -> Iterator[ContainerEvent]:
        with opened:
            for event in until(stream, stream.close, deadline):
                yield read_event(event)


_Lines = list[str]
_Networks = list[StoredNetwork]
