"""The engine that production uses."""

from apps.engine.base import Engine
from apps.engine.data import EngineConfig
from apps.engine.docker import DockerContainers
from apps.engine.egress_rules import egress_rules
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
