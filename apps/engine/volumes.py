"""Volumes and published ports, in the engine's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import docker
from docker.types import Mount

from apps.engine.holdings import EVERYWHERE, PublishedPort, VolumeMount

_TAKEN = (
    # The engine knows the other container, its proxy met another program, or that of IPv6.
    re.compile(r"Bind for \S*:(\d+) failed: port is already allocated"),
    re.compile(r"listen (?:tcp|udp)[46]? \S*:(\d+): bind: address already in use"),
)


def ensure_volumes(client: docker.DockerClient, volumes: Iterable[VolumeMount]) -> None:
    """Make those that are not there, with their labels. What is in one stays in it."""
    for one in volumes:
        client.volumes.create(one.volume, driver="local", labels=dict(one.labels))


def mounts(volumes: Iterable[VolumeMount]) -> list[Mount]:
    return [Mount(target=one.path, source=one.volume, type="volume") for one in volumes]


def exposed(ports: Iterable[PublishedPort]) -> list[tuple[int, str]]:
    return sorted({(one.container_port, one.protocol) for one in ports})


def bindings(ports: Iterable[PublishedPort]) -> dict[int | str, Any]:
    """Container port → where on the server it is."""
    found: dict[int | str, Any] = {}
    for one in ports:
        where = one.port if one.address == EVERYWHERE else (one.address, one.port)
        found.setdefault(f"{one.container_port}/{one.protocol}", []).append(where)
    return found


def port_taken(text: str) -> int | None:
    """The port of the server that the engine's refusal says is taken."""
    for pattern in _TAKEN:
        if found := pattern.search(text):
            return int(found[1])
    return None
