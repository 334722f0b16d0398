"""The container that Traefik runs in where compose starts it: finding it, and letting it into the
networks of projects, which nothing but their own containers could reach otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from apps.engine.data import EngineConfig

PROXY_LABEL = "mist.proxy-of"
"""On Traefik's container: the data directory of the Mist that it serves."""
INSTANCE_LABEL = "mist.instance"
"""On every container that some Mist made."""


def find_proxy(client: docker.DockerClient, config: EngineConfig) -> Container | None:
    """The container, running or not; None where there is none."""
    for container in client.containers.list(
        all=True, filters={"label": PROXY_LABEL}, ignore_removed=True
    ):
        if INSTANCE_LABEL in container.labels:
            continue  # an app's, whose image has the label: it shall not meet all other apps
        if os.path.normpath(container.labels.get(PROXY_LABEL, "")) == str(config.data_dir):
            return container
    return None


def join(client: docker.DockerClient, config: EngineConfig, name: str) -> None:
    """Let the proxy into the network `name`; fine when it is there, or does not exist yet."""
    proxy = find_proxy(client, config)
    if proxy is None:
        return
    for network in client.networks.list(names=[name]):
        if network.name == name:
            _connect(network, proxy)


def join_all(client: docker.DockerClient, config: EngineConfig, proxy: Container) -> None:
    """Let a proxy that was made anew into the networks of all projects."""
    for network in missing_networks(client, config, proxy):
        _connect(network, proxy)


def missing_networks(
    client: docker.DockerClient, config: EngineConfig, proxy: Container
) -> Iterator[Network]:
    """Networks of projects that the proxy is not in."""
    joined = proxy.attrs["NetworkSettings"]["Networks"]
    for network in client.networks.list(filters={"label": f"mist.instance={config.instance}"}):
        if network.name not in joined:
            yield network


def leave(client: docker.DockerClient, config: EngineConfig, network: Network) -> None:
    """Take the proxy out of a network that has nobody else, so that it can be removed."""
    proxy = find_proxy(client, config)
    if proxy is None:
        return
    network.reload()
    if set(network.attrs.get("Containers") or {}) != {proxy.id}:
        return
    try:
        network.disconnect(proxy, force=True)
    except (NotFound, APIError) as error:
        if "is not connected" not in str(error):
            raise


def _connect(network: Network, proxy: Container) -> None:
    try:
        network.connect(proxy)
    except NotFound:
        pass  # one of the two has just been removed
    except APIError as error:
        if "already exists" not in str(error.explanation):
            raise
