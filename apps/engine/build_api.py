"""Building through the Engine API, where no docker client with BuildKit is installed."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from docker.api.build import process_dockerfile
from docker.errors import APIError, DockerException
from docker.types.daemon import CancellableStream
from docker.utils.build import tar as make_tar

from apps.engine.build_limits import build_group
from apps.engine.client import own_client
from apps.engine.data import BuildSpec, EngineConfig, LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import MAKE_ROOM, BuildFailed, EngineError, OutOfDisk

Items = Iterator[dict[str, Any]]
_HINT = "Read the last lines. Install docker-buildx for BuildKit, which can do more."
_SYNTAX = re.compile(r"dockerfile parse error (?:on )?line (\d+): (.*)", re.IGNORECASE)
_PULL = re.compile(r"pull access denied|manifest .*not found|registry|no such host")


def build_with_api(
    config: EngineConfig,
    spec: BuildSpec,
    *,
    log: LineSink,
    hide: Callable[[str], str],
    deadline: Deadline,
) -> None:
    """The classic builder: no cache mounts, no build secrets. `hide` takes known values out of what
    goes into an error.

    The stream's own error ends the build as `BuildFailed`. Closing the connection, as a deadline
    does, makes the engine stop the build.
    """
    log("No docker client with BuildKit was found, building with the engine's classic builder")
    ignore = spec.context / ".dockerignore"
    patterns = ignore.read_text().splitlines() if ignore.is_file() else []
    dockerfile = process_dockerfile(str(spec.dockerfile), str(spec.context))
    archive: Any = make_tar(spec.context, exclude=patterns, dockerfile=dockerfile, gzip=False)
    try:
        with _started(config, spec, archive, dockerfile[0] or "Dockerfile") as items:
            _follow(items, log, hide, deadline)
    except APIError as error:
        raise _failure("", hide(str(error.explanation or error)), []) from error
    finally:
        archive.close()


@contextlib.contextmanager
def _started(
    config: EngineConfig, spec: BuildSpec, archive: IO[bytes], dockerfile: str
) -> Iterator[Items]:
    """The engine's answer, item by item. The SDK's own `build` hides the connection, and only
    closing that ends a build."""
    with own_client(config.docker_host) as client:
        api: Any = client.api
        response = api.post(
            api._url("/build"),
            data=archive,
            params={
                "t": spec.image,
                "dockerfile": dockerfile,
                "labels": json.dumps(dict(spec.labels)),
                "buildargs": json.dumps(dict(spec.args)),
                "nocache": spec.no_cache,
                "rm": True,
                "forcerm": True,
                "cgroupparent": build_group(config),
            },
            headers={"Content-Type": "application/tar"},
            stream=True,
            timeout=None,
        )
        api._raise_for_status(response)
        items = CancellableStream(api._stream_helper(response, decode=True), response)
        try:
            yield items
        finally:
            with contextlib.suppress(OSError, AttributeError, DockerException):
                items.close()


def _follow(stream: Items, log: LineSink, hide: Callable[[str], str], deadline: Deadline) -> None:
    items: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def read() -> None:
        # Closing the connection from outside ends the read with whatever the socket raises.
        with contextlib.suppress(Exception):
            for item in stream:
                items.put(item)
        items.put(None)

    threading.Thread(target=read, name="docker-build", daemon=True).start()
    step = ""
    last: list[str] = []
    while True:
        try:
            item = items.get(timeout=0.2)
        except queue.Empty:
            deadline.check()
            continue
        if item is None:
            return
        if "errorDetail" in item:
            raise _failure(step, hide(str(item["errorDetail"].get("message", ""))), last)
        for line in str(item.get("stream") or item.get("status") or "").splitlines():
            if line.startswith("Step "):
                step = hide(line)
            last = [*last[-19:], hide(line)]
            log(line)
        deadline.check()


def _failure(step: str, message: str, last: list[str]) -> EngineError:
    """The reason in a sentence; `step` is the builder's own "Step 3/4 : RUN make"."""
    detail = "\n".join([*last, message])
    if "no space left on device" in message.lower():
        return OutOfDisk(
            "The build ran out of disk space.",
            hint=MAKE_ROOM.format(again="deploy again"),
            detail=detail,
        )
    if "the --mount option requires BuildKit" in message:
        return BuildFailed(
            "The Dockerfile uses RUN --mount, which needs BuildKit.",
            hint="Install docker-buildx on the server.",
            detail=detail,
        )
    if found := _SYNTAX.search(message):
        return BuildFailed(
            f"The Dockerfile has an error on line {found[1]}: {found[2]}.",
            hint="Correct that line and deploy again.",
            detail=detail,
        )
    place, _, command = step.partition(" : ")
    if command.startswith("FROM ") and _PULL.search(message):
        return BuildFailed(
            f"The base image {command.split()[1]} could not be pulled.",
            hint="Check the name in the Dockerfile's FROM line, and that this server reaches "
            "the image's registry.",
            detail=detail,
        )
    where = f"Build step {place.removeprefix('Step ')} failed: {command[:160]}: " if command else ""
    return BuildFailed(f"{where}{message[:200]}.", hint=_HINT, detail=detail)
