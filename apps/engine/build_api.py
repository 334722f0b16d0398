"""Building through the Engine API, where no docker client with BuildKit is installed."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import Any

from docker.api.build import process_dockerfile
from docker.errors import APIError, BuildError
from docker.utils.build import exclude_paths
from docker.utils.build import tar as make_tar

from apps.engine.base import BuildSpec, EngineConfig, LineSink
from apps.engine.client import connect
from apps.engine.deadline import Deadline
from apps.engine.errors import BuildFailed, OutOfDisk

_HINT = "Install docker-buildx for BuildKit, which shows more and can do more."


def build_with_api(
    config: EngineConfig, spec: BuildSpec, *, log: LineSink, deadline: Deadline
) -> None:
    """The classic builder: no cache mounts, no build secrets.

    The stream's own error ends the build as `BuildFailed`. Closing the connection, as a deadline
    does, makes the engine stop the build.
    """
    log("No docker client with BuildKit was found, building with the engine's classic builder")
    ignore = spec.context / ".dockerignore"
    patterns = ignore.read_text().splitlines() if ignore.is_file() else []
    dockerfile = process_dockerfile(str(spec.dockerfile), str(spec.context))
    files = sorted(exclude_paths(str(spec.context), patterns, dockerfile=dockerfile[0]))
    archive = make_tar(
        str(spec.context),
        files=files,
        root=str(spec.context),
        extra_files=_extra(dockerfile),
    )
    try:
        stream = connect(config.docker_host).api.build(
            fileobj=archive,
            custom_context=True,
            dockerfile=dockerfile[0],
            tag=spec.image,
            labels=dict(spec.labels),
            buildargs=dict(spec.args),
            nocache=spec.no_cache,
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow(stream, log, deadline)
    except (APIError, BuildError) as error:
        raise BuildFailed("The engine could not build the image.", detail=str(error)) from error
    finally:
        archive.close()


def _extra(dockerfile: tuple[str, str | None]) -> list[tuple[str, str]]:
    name, content = dockerfile
    return [(name, content)] if content is not None else []


def _follow(stream: Any, log: LineSink, deadline: Deadline) -> None:
    items: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def read() -> None:
        # Closing the connection from outside ends the read with whatever the socket raises.
        with contextlib.suppress(Exception):
            for item in stream:
                items.put(item)
        items.put(None)

    threading.Thread(target=read, name="docker-build", daemon=True).start()
    step, last = "", []
    try:
        while True:
            try:
                item = items.get(timeout=0.2)
            except queue.Empty:
                deadline.check()
                continue
            if item is None:
                return
            if "errorDetail" in item:
                raise _failure(step, str(item["errorDetail"].get("message", "")), last)
            for line in str(item.get("stream") or item.get("status") or "").splitlines():
                if line.startswith("Step "):
                    step = line
                last = [*last[-19:], line]
                log(line)
            deadline.check()
    finally:
        with contextlib.suppress(OSError, AttributeError):
            stream.close()


def _failure(step: str, message: str, last: list[str]) -> BuildFailed | OutOfDisk:
    detail = os.linesep.join([*last, message])
    if "no space left on device" in message.lower():
        return OutOfDisk("The build ran out of disk space.", hint="Free some space.", detail=detail)
    if "the --mount option requires BuildKit" in message:
        return BuildFailed(
            "The Dockerfile uses RUN --mount, which needs BuildKit.",
            hint=_HINT,
            detail=detail,
        )
    where = step.replace("Step ", "Build step ", 1).replace(" : ", " failed: ", 1)
    return BuildFailed(
        f"{where or 'The build failed'}: {message[:200]}.", hint=_HINT, detail=detail
    )
