"""One Docker client per process, and its errors in words."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests
from docker.errors import APIError, DockerException

from apps.engine.errors import MAKE_ROOM, EngineAway, EngineError, EngineUnavailable, OutOfDisk


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
    """The version is fixed at the oldest that Mist knows, so that no call is spent on asking."""
    with guard():
        return docker.DockerClient(
            base_url=docker_host or "unix:///var/run/docker.sock",
            version="1.41",
            timeout=60,
            max_pool_size=32,
        )


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
