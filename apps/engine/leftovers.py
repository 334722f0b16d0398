"""What of an instance is in the engine besides containers, for those who look for left-overs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from apps.engine.client import guard, own_client
from apps.engine.data import EngineConfig


@dataclass(frozen=True)
class Leftovers:
    networks: frozenset[str]
    """Names."""
    images: frozenset[str]
    """Tags, and ids of those without one."""


def things_of(config: EngineConfig) -> Leftovers:
    """Everything that carries the instance's label. Raises `EngineUnavailable`."""
    mine = {"label": f"mist.instance={config.instance}"}
    with own_client(config.docker_host) as client, guard():
        networks = frozenset(str(network.name) for network in client.networks.list(filters=mine))
        rows = client.api.images(filters=mine)
    # An image that lost its tag to a newer build is no more than the builder's cache.
    images = frozenset(tag for row in rows for tag in row["RepoTags"] or () if "<none>" not in tag)
    return Leftovers(networks, images)


def helpers_of(data_dir: Path) -> list[str]:
    """Command lines of git and docker that work in the instance's folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if process.info["name"].startswith(("git", "docker")) and f"{data_dir}/" in words:
            found.append(words)
    return found
