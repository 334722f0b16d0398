"""One Docker client per process, and its errors in words."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests
from docker.errors import APIError, DockerException

from apps.engine.errors import MAKE_ROOM, EngineAway, EngineError, EngineUnavailable, OutOfDisk

OLDEST = "1.41"
SOCKET = "unix:///var/run/docker.sock"


@functools.cache
def connect(docker_host: str) -> docker.DockerClient:
    """The client of this process; shared by all threads, its pool holds a connection for each.

    Raises `EngineUnavailable`.
    """
    return make_client(docker_host)


@contextmanager
def own_client(docker_host: str) -> Iterator[docker.DockerClient]:
    """A client for one stream. Only closing its socket ends a stream that is being read, and a
    socket that was closed like that must never come back to the shared pool."""
    client = make_client(docker_host)
    try:
        yield client
    finally:
        client.close()


def make_client(docker_host: str) -> docker.DockerClient:
    """It speaks the oldest version that both Mist and the engine know, which is asked for once."""
    with guard():
        url = docker_host or SOCKET
        return docker.DockerClient(
            base_url=url,
            version=api_version(url),
            timeout=60,
            max_pool_size=32,
        )


@functools.cache
def api_version(url: str) -> str:
    """Docker 20.10 ends at 1.41, and 29 begins at 1.44 (its release notes)."""
    client = docker.APIClient(base_url=url, version=OLDEST, timeout=60)
    try:
        least = str(client.version(api_version=False).get("MinAPIVersion", OLDEST))
    finally:
        client.close()
    return choose_version(least)


def choose_version(least: str) -> str:
    """What to speak with an engine that knows versions from `least` on."""
    return max(OLDEST, least, key=lambda version: [int(part) for part in version.split(".")])


@contextmanager
def guard() -> Iterator[None]:
    """Turn what the SDK raises into Mist's own reasons; `APIError` passes for callers that know
    better unless it is about the disk."""
    try:
        yield
    except EngineError:
        raise
    except APIError as error:
        if "no space left" in str(error.explanation or error).lower():
            raise OutOfDisk(
                "The engine has no disk space left.",
                hint=MAKE_ROOM.format(again="deploy again"),
            ) from error
        raise
    except (requests.RequestException, DockerException, OSError) as error:
        raise unavailable(str(error)) from error


@contextmanager
def api_errors() -> Iterator[None]:
    """An answer of the engine that nobody expected, in words."""
    try:
        yield
    except APIError as error:
        raise EngineUnavailable(
            "The Docker engine refused a request.",
            detail=str(error.explanation or error),
        ) from error


def unavailable(reason: str) -> EngineUnavailable:
    """The sentence for an engine that does not answer."""
    if "Permission denied" in reason or "PermissionError" in reason:
        return EngineUnavailable(
            "Mist may not use the Docker engine's socket.",
            hint="Run Mist as root, or add its user to the docker group and log in again.",
        )
    if "No such file" in reason or "FileNotFoundError" in reason:
        return EngineAway(
            "There is no Docker engine socket.",
            hint="Run ./mist up: it installs and starts the engine where it can.",
        )
    return EngineAway("The Docker engine does not answer.", hint="Run ./mist doctor to see why.")
