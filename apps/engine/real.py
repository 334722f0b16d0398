"""The engine that production uses."""

from urllib.parse import urlsplit

from apps.engine.base import Engine
from apps.engine.data import EngineConfig
from apps.engine.docker import DockerContainers
from apps.engine.egress import Rules
from apps.engine.git import CommandLineGit
from apps.engine.traefik import Traefik
from apps.engine.traefik_container import ContainerTraefik


def make_engine(config: EngineConfig) -> Engine:
    """Nothing is connected or started by this."""
    return Engine(
        git=CommandLineGit(egress_rules(config), config.keys_room),
        containers=DockerContainers(config),
        proxy=ContainerTraefik(config) if config.proxy_host else Traefik(config),
        config=config,
    )


def egress_rules(config: EngineConfig) -> Rules:
    """Repositories may be anywhere but at Mist's own doors and in the networks of apps. Of this
    machine's loopback addresses Mist's pages are open, which serve the sample."""
    engine = urlsplit(config.docker_host)
    by_tcp = engine.scheme in ("tcp", "http", "https") and engine.port is not None
    ports = {config.probe_port, config.proxy_api_port, *([engine.port] if by_tcp else [])}
    hosts = [config.proxy_host, (engine.hostname or "") if by_tcp else ""]
    return Rules(
        localhost=config.git_localhost,
        open_ports=frozenset({config.dashboard_port}),
        closed_ports=frozenset(port for port in ports if port is not None),
        closed_hosts=tuple(filter(None, hosts)),
        closed_networks=(config.network_pool,),
    )
