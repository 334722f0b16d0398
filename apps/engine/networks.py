"""Project networks, from a pool of Mist's own: Docker's default one ends at about thirty."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

import docker
import psutil
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from apps.engine.data import EngineConfig
from apps.engine.errors import StartFailed
from apps.engine.locks import file_lock
from apps.engine.machine_net import machine_networks
from apps.engine.proxy_container import join, leave

Net = ipaddress.IPv4Network


def ensure_network(
    client: docker.DockerClient,
    config: EngineConfig,
    name: str,
    labels: Mapping[str, str],
) -> None:
    """The bridge network `name`, made with a free /24 of the pool unless it is there. A proxy that
    is a container is in it, too."""
    _make(client, config, name, labels)
    if config.proxy_host:
        join(client, config, name)


def _make(
    client: docker.DockerClient,
    config: EngineConfig,
    name: str,
    labels: Mapping[str, str],
) -> None:
    """A lock makes it one maker at a time: the engine itself would take two of one name."""
    if _find(client, name):
        return
    with file_lock(config.data_dir / "locks" / "networks"):
        if _find(client, name):
            return
        for subnet in _free(client, ipaddress.IPv4Network(config.network_pool)):
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])
            try:
                client.networks.create(
                    name,
                    driver="bridge",
                    ipam=ipam,
                    labels=dict(labels),
                    check_duplicate=True,
                )
                return
            except APIError as error:
                # Something the engine knows and we do not, for example a route of a VPN.
                if "overlap" not in str(error.explanation).lower():
                    raise
    raise StartFailed(
        f"The address pool {config.network_pool} has no free network.",
        hint="Set MIST_NETWORK_POOL to a larger private range.",
    )


def remove_network(client: docker.DockerClient, config: EngineConfig, name: str) -> None:
    """Gone or absent afterwards; a network that still has containers of apps is left alone."""
    for network in client.networks.list(names=[name]):
        if network.name == name:
            try:
                if config.proxy_host:
                    leave(client, config, network)
                network.remove()
            except NotFound:
                pass
            except APIError as error:
                if "active endpoints" not in str(error.explanation):
                    raise


def _find(client: docker.DockerClient, name: str) -> bool:
    return any(network.name == name for network in client.networks.list(names=[name]))


def _free(client: docker.DockerClient, pool: Net) -> Iterator[Net]:
    taken = [
        Net(part["Subnet"])
        for network in client.networks.list()
        for part in (network.attrs.get("IPAM", {}).get("Config") or [])
        if "." in part.get("Subnet", "")
    ]
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family.name == "AF_INET" and address.netmask:
                taken.append(Net(f"{address.address}/{address.netmask}", strict=False))
    taken += machine_networks()
    for subnet in pool.subnets(new_prefix=max(24, pool.prefixlen)):
        if not any(subnet.overlaps(other) for other in taken):
            yield subnet
