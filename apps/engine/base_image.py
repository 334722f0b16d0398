"""The image that the samples build on: pulled, or made on the spot where nothing can be pulled."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.utils import kwargs_from_env

from apps.engine.data import LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import MAKE_ROOM, EngineUnavailable, HostProblem, OutOfDisk
from apps.engine.python_rootfs import HostPython, find_python, write_rootfs

SAMPLE_BASE = "mist/sample-base:1"

_PUBLIC = ("python", "3.13-alpine")
_PULL_LIMIT = 60.0
_SILENCE_LIMIT = 15
"""Seconds without a word from the registry after which it counts as not there."""
_CHUNK = 1024 * 1024
_CHANGES = [
    "ENV PATH=/usr/local/bin:/usr/bin:/bin",
    "ENV LANG=C.UTF-8",
    'CMD ["python"]',
]


def ensure_sample_base(
    *, log: LineSink, deadline: Deadline, docker_host: str = "", image: str = SAMPLE_BASE
) -> None:
    """Make sure that the engine has `image`, with a Python in it.

    Pulls a public image if a registry answers within a minute, else packs this machine's own
    Python. Raises `EngineUnavailable`, `HostProblem`, `OutOfDisk`, `TimedOut`, `Cancelled`.
    """
    with _connected(docker_host) as client:
        if _exists(client, image):
            return
        name = ":".join(_PUBLIC)
        log(f"Pulling {name} for the sample.")
        problem = _pull(docker_host, deadline)
        if not problem:
            client.api.tag(name, *_split(image))
            log(f"The sample builds on {name}.")
            return
        log(f"{name} cannot be pulled: {problem}")
        python = find_python()
        _import(client, image, python, deadline)
        log(f"The sample builds on an image made of this machine's own {python.name}.")


@contextlib.contextmanager
def _connected(docker_host: str, timeout: int = 120) -> Iterator[docker.DockerClient]:
    try:
        settings = kwargs_from_env()
        if docker_host:
            settings["base_url"] = docker_host
        client = docker.DockerClient(version="auto", timeout=timeout, **settings)
        with contextlib.closing(client):
            yield client
    except (DockerException, requests.RequestException) as error:
        if "no space left on device" in str(error).lower():
            raise OutOfDisk(
                "The disk is full: there is no room for the sample's base image.",
                hint=MAKE_ROOM.format(again="try again"),
            ) from error
        raise EngineUnavailable(
            "The Docker engine does not answer, or refused to make the sample's base image.",
            hint="Run ./mist doctor to see what is wrong.",
            detail=error.explanation or "" if isinstance(error, APIError) else str(error),
        ) from error


def _exists(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def _pull(docker_host: str, deadline: Deadline) -> str:
    """Pull the public image; returns why it did not work, '' when it did.

    In a thread, because the engine says nothing while it waits for a registry.
    """
    ended = threading.Event()
    problems: list[str] = []

    def pull() -> None:
        try:
            with _connected(docker_host, timeout=_SILENCE_LIMIT) as client:
                for step in client.api.pull(*_PUBLIC, stream=True, decode=True):
                    if ended.is_set():
                        return
                    if "error" in step:
                        problems.append(str(step["error"]))
        except (EngineUnavailable, OutOfDisk) as error:
            problems.append(error.detail or error.sentence)

    thread = threading.Thread(target=pull, name="pull-sample-base", daemon=True)
    thread.start()
    until = time.monotonic() + _PULL_LIMIT
    try:
        while thread.is_alive():
            deadline.check()
            if time.monotonic() > until:
                return f"it took longer than {_PULL_LIMIT:.0f} s."
            thread.join(0.2)
    finally:
        ended.set()
    return problems[0] if problems else ""


def _import(
    client: docker.DockerClient, image: str, python: HostPython, deadline: Deadline
) -> None:
    with tempfile.TemporaryFile() as file:
        try:
            write_rootfs(python, file, deadline=deadline)
        except OSError as error:
            raise HostProblem(
                f"Mist could not pack this machine's Python: {error.strerror or error}.",
                hint="Check that there is room for 100 MB in the folder for temporary files.",
            ) from error
        file.seek(0)

        def chunks() -> Iterator[bytes]:
            while block := file.read(_CHUNK):
                deadline.check()
                yield block

        repository, tag = _split(image)
        client.api.import_image(src=chunks(), repository=repository, tag=tag, changes=_CHANGES)
    # The engine answers 200 also when it fails half-way.
    client.images.get(image)


def _split(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    return repository, tag
