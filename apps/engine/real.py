"""The engine that production uses."""

from apps.engine.base import Engine, EngineConfig
from apps.engine.docker import DockerContainers
from apps.engine.git import CommandLineGit
from apps.engine.traefik import Traefik


def make_engine(config: EngineConfig) -> Engine:
    """Nothing is connected or started by this."""
    return Engine(
        git=CommandLineGit(),
        containers=DockerContainers(config),
        proxy=Traefik(config),
        config=config,
    )
