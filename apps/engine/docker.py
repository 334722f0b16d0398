"""Containers, images and networks of the Docker engine."""

from __future__ import annotations

import contextlib
import datetime as dt
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from apps.engine import build as building
from apps.engine import networks
from apps.engine.base import (
    BuildSpec,
    Container,
    ContainerEvent,
    ContainerSpec,
    ContainerStatus,
    EngineConfig,
    EngineInfo,
    LineSink,
)
from apps.engine.cgroups import CgroupReader
from apps.engine.client import connect, guard, make_client, own_client
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, EngineUnavailable, StartFailed
from apps.engine.output import DockerOutput
from apps.engine.stats_api import ask_usage
from apps.engine.usage import Usage

CAPABILITIES = (
    # What usual images need between their first process and the user they drop to (nginx,
    # postgres, gunicorn): own files, change user, bind a low port. Everything else is dropped.
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
)


class DockerContainers:
    """Implements `base.Containers` with the docker SDK."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._cgroups = CgroupReader()

    @property
    def _client(self) -> docker.DockerClient:
        return connect(self._config.docker_host)

    def info(self) -> EngineInfo:
        with guard():
            version = self._client.version()
            return EngineInfo(version=version["Version"], api_version=version["ApiVersion"])

    # ----------------------------------------------------------------------- networks and images

    def ensure_network(self, name: str, *, labels: Mapping[str, str]) -> None:
        with guard(), _api_errors():
            networks.ensure_network(self._client, self._config, name, labels)

    def remove_network(self, name: str) -> None:
        with guard(), _api_errors():
            networks.remove_network(self._client, name)

    def build(self, spec: BuildSpec, *, log: LineSink, deadline: Deadline) -> str:
        with guard(), _api_errors():
            building.build(self._config, spec, log=log, deadline=deadline)
            return str(self._client.images.get(spec.image).id)

    def image_exists(self, image: str) -> bool:
        with guard(), _api_errors():
            try:
                self._client.images.get(image)
            except ImageNotFound:
                return False
            return True

    def exposed_ports(self, image: str) -> tuple[int, ...]:
        with guard(), _api_errors():
            exposed = self._client.images.get(image).attrs["Config"].get("ExposedPorts") or {}
        ports = (port.partition("/") for port in exposed)
        return tuple(sorted(int(number) for number, _, kind in ports if kind in ("", "tcp")))

    def remove_image(self, image: str) -> None:
        with guard(), _api_errors():
            try:
                self._client.images.remove(image)
            except ImageNotFound:
                pass
            except APIError as error:
                if error.status_code != 409:  # in use by a container
                    raise

    # ------------------------------------------------------------------------------- containers

    def start(self, spec: ContainerSpec) -> Container:
        with guard():
            try:
                self._remove(spec.name)
                made = self._client.containers.create(**_create_arguments(spec))
            except ImageNotFound as error:
                raise StartFailed(
                    f"The image {spec.image} is gone.", hint="Deploy again to build it."
                ) from error
            except APIError as error:
                raise _start_failed(error) from error
            try:
                made.start()
                made.reload()
            except BaseException as error:
                with contextlib.suppress(EngineError, APIError):
                    self._remove(spec.name)
                if isinstance(error, APIError):
                    raise _start_failed(error) from error
                raise
            return _container(made.attrs)

    def resume(self, container_id: str) -> None:
        with guard():
            try:
                self._client.containers.get(container_id).start()
            except NotFound as error:
                raise StartFailed("The container is gone.", hint="Deploy again.") from error
            except APIError as error:
                raise _start_failed(error) from error

    def stop(self, container_id: str, *, timeout: int = 10) -> None:
        with guard(), _api_errors():
            try:
                self._client.containers.get(container_id).stop(timeout=timeout)
            except NotFound:
                pass

    def remove(self, container_id: str) -> None:
        with guard(), _api_errors():
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
        with guard(), _api_errors():
            try:
                return _container(self._client.api.inspect_container(container_id))
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
        with guard(), _api_errors():
            return Path(str(self._client.info()["DockerRootDir"]))

    def list(self, *, labels: Mapping[str, str]) -> list[Container]:
        wanted = [f"{key}={value}" for key, value in labels.items()]
        found = []
        with guard(), _api_errors():
            for row in self._client.api.containers(all=True, filters={"label": wanted}):
                # The list lacks exit codes and addresses; a container may go in between.
                with contextlib.suppress(NotFound):
                    found.append(_container(self._client.api.inspect_container(row["Id"])))
        return found

    # --------------------------------------------------------------------------- logs and events

    def logs(self, container_id: str, *, tail: int = 200, timestamps: bool = False) -> _Lines:
        with guard(), _api_errors():
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
            with guard(), _api_errors():
                try:
                    container = client.containers.get(container_id)
                except NotFound:
                    return
                stream = container.logs(stream=True, follow=True, tail=tail)
            rest = b""
            for piece in _until(stream, stream.close, deadline):
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
            with guard(), _api_errors():
                stream = client.events(decode=True, filters=filters)
            opened = stack.pop_all()
        return self._events(stream, opened, deadline)

    @staticmethod
    def _events(
        stream: Any, opened: contextlib.ExitStack, deadline: Deadline
    ) -> Iterator[ContainerEvent]:
        with opened:
            for event in _until(stream, stream.close, deadline):
                yield _event(event)


_Lines = list[str]


def _event(event: Mapping[str, Any]) -> ContainerEvent:
    facts = event.get("Actor", {}).get("Attributes", {})
    code = facts.get("exitCode")
    return ContainerEvent(
        action=str(event.get("Action", "")).partition(":")[0],
        container_id=str(event.get("id", "")),
        labels=facts,
        time=dt.datetime.fromtimestamp(event.get("time", 0), dt.UTC),
        exit_code=int(code) if code is not None else None,
    )


def _create_arguments(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "image": spec.image,
        "name": spec.name,
        "command": list(spec.command) or None,
        "environment": dict(spec.env),
        "labels": dict(spec.labels),
        "network": spec.network,
        "init": True,
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": spec.pids,
        "mem_limit": spec.memory_mb * 1024 * 1024,
        "memswap_limit": spec.memory_mb * 1024 * 1024,
        "nano_cpus": int(spec.cpus * 1_000_000_000),
        "restart_policy": {"Name": spec.restart},
        "log_config": {
            "type": "json-file",
            "config": {"max-size": "10m", "max-file": "3"},
        },
    }


def _start_failed(error: APIError) -> EngineError:
    text = re.sub(r"\s+", " ", str(error.explanation or error))
    if "executable file not found" in text or "no such file or directory" in text:
        return StartFailed(
            "The container's start command does not exist in the image.",
            hint="Check CMD and ENTRYPOINT in the Dockerfile.",
            detail=text,
        )
    return StartFailed("The engine could not start the container.", detail=text)


@contextlib.contextmanager
def _api_errors() -> Iterator[None]:
    """An answer of the engine that nobody expected, in words."""
    try:
        yield
    except APIError as error:
        raise EngineUnavailable(
            "The Docker engine refused a request.",
            detail=str(error.explanation or error),
        ) from error


def _until(stream: Iterator[Any], close: Callable[[], None], deadline: Deadline) -> Iterator[Any]:
    """Hand on a blocking stream from a thread, so that the deadline counts while it is silent."""
    items: queue.Queue[Any] = queue.Queue(maxsize=1000)
    end = object()

    def read() -> None:
        # Closing the stream from outside ends the read with whatever error the socket gives.
        with contextlib.suppress(Exception):
            for item in stream:
                items.put(item)
        items.put(end)

    thread = threading.Thread(target=read, name="docker-stream", daemon=True)
    thread.start()
    try:
        while deadline.remaining() > 0:
            try:
                item = items.get(timeout=min(0.25, deadline.remaining() + 0.001))
            except queue.Empty:
                deadline.check()
                continue
            if item is end:
                return
            yield item
    finally:
        with contextlib.suppress(Exception):
            close()


def _container(attrs: Mapping[str, Any]) -> Container:
    state = attrs["State"]
    running = state["Status"] == "running"
    attached = attrs.get("NetworkSettings", {}).get("Networks") or {}
    return Container(
        id=attrs["Id"],
        name=attrs["Name"].lstrip("/"),
        status=ContainerStatus(state["Status"]),
        labels=attrs["Config"].get("Labels") or {},
        image=attrs["Config"]["Image"],
        exit_code=None if running or state["Status"] == "created" else state.get("ExitCode"),
        out_of_memory=bool(state.get("OOMKilled")),
        restarts=int(attrs.get("RestartCount", 0)),
        health=str((state.get("Health") or {}).get("Status", "")),
        created_at=_time(attrs.get("Created", "")),
        started_at=_time(state.get("StartedAt", "")),
        addresses={name: net.get("IPAddress", "") for name, net in attached.items()},
    )


def _time(text: str) -> dt.datetime | None:
    if not text or text.startswith("0001"):
        return None
    whole = re.sub(r"(\.\d{6})\d+", r"\1", text.replace("Z", "+00:00"))
    return dt.datetime.fromisoformat(whole)
