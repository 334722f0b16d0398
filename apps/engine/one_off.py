"""One command in a container of its own, from its first line to its exit code."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.models.containers import Container

from apps.engine.base import Output
from apps.engine.client import guard
from apps.engine.creation import create_container, image_gone, machine_lacks
from apps.engine.data import ContainerSpec, LineSink, Outcome
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineAway, StartFailed
from apps.engine.streams import until

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 20.0
"""How long the engine may be away, as while it restarts, before the command counts as lost."""
LAST_SECONDS = 0.5
"""What a command that has to end gets between the stop signal and SIGKILL: who cancels waits."""

Follow = Callable[[str], Output]
"""What the container writes from a stamp on."""


def run_once(
    client: docker.DockerClient,
    spec: ContainerSpec,
    *,
    output: Callable[[str, str], Output],
    log: LineSink,
    deadline: Deadline,
) -> Outcome:
    """See `base.Containers.run_once`. `output` opens what a container (its id) writes from a stamp
    on."""
    deadline.check()
    with guard():
        container = _start(client, spec)
        try:
            _follow(lambda since: output(str(container.id), since), container, log, deadline)
            state = container.attrs["State"]
            return Outcome(int(state["ExitCode"]), bool(state.get("OOMKilled")))
        finally:
            _end(container)


def _start(client: docker.DockerClient, spec: ContainerSpec) -> Container:
    with contextlib.suppress(APIError):
        client.containers.get(spec.name).remove(v=True, force=True)
    try:
        container = create_container(client, spec)
    except ImageNotFound as error:
        raise image_gone(spec) from error
    except APIError as error:
        raise not_started(error) from error
    try:
        container.start()
    except BaseException as error:
        _end(container)
        if isinstance(error, APIError):
            raise not_started(error) from error
        raise
    return container


def _follow(follow: Follow, container: Container, log: LineSink, deadline: Deadline) -> None:
    """Hand on every line once until the container has ended; its `attrs` are those of the end."""
    last = ""
    away: Deadline | None = None
    while True:
        seen = last
        try:
            lines = follow(seen)
            for batch in until(iter(lines), lines.close, deadline):
                for line in batch:
                    # Followed again, it begins with what was the last line.
                    if line.stamp > seen:
                        log(line.text)
                        last = line.stamp
            deadline.check()
            container.reload()
        except (EngineAway, requests.RequestException) as error:
            away = away or Deadline(PATIENCE_SECONDS)
            if away.remaining() <= 0:
                raise EngineAway("The Docker engine went away while the command ran.") from error
        else:
            if container.status not in ("created", "running", "paused"):
                return
            away = None
        deadline.sleep(LOOK_SECONDS)


def _end(container: Container) -> None:
    """Stop it if it runs and remove it; what an engine that is away leaves, the sweep takes."""
    with contextlib.suppress(DockerException, requests.RequestException):
        container.reload()
        last = time.monotonic() + LAST_SECONDS
        if container.status == "running":
            container.kill(container.attrs["Config"].get("StopSignal") or "SIGTERM")
        while container.status == "running" and time.monotonic() < last:
            time.sleep(0.1)
            container.reload()
    with contextlib.suppress(DockerException, requests.RequestException):
        container.remove(v=True, force=True)


def not_started(error: APIError) -> StartFailed:
    """Why the engine refused to start a command, in words."""
    text = " ".join(str(error.explanation or error).split())
    if machine := machine_lacks(text):
        return machine
    if "executable file not found" in text or "no such file or directory" in text:
        return StartFailed(
            "The command does not exist in the image.",
            hint="Check its spelling and path. For pipes and variables use sh -c '…'.",
            detail=text,
        )
    return StartFailed("The engine could not start the command.", detail=text)
