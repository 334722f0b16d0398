"""Decisions as data: what a build, a container and a route file should look like."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from apps.deployments.holdings import NOTHING_HELD, Holdings
from apps.deployments.models import Deployment, Status
from apps.engine.data import BuildSpec, ContainerSpec
from apps.engine.labels import probe_labels
from apps.engine.run_settings import split_command
from apps.projects.models import App, EnvironmentVariable, Project

DEFAULT_PORT = 8000
MOST_PORTS = 20
"""That an image may expose and the proxy be told of all."""
MOVING = (Status.STARTING, Status.CHECKING, Status.SWITCHING)
"""While a deployment is there it decides what runs of its app."""


def network_name(project: Project) -> str:
    """Each project has a network of its own; the instance keeps two Mists apart."""
    return f"mist-{settings.MIST_ENGINE_CONFIG.instance}-{project.pk}"


def instance_labels() -> dict[str, str]:
    """What everything that this Mist makes in the engine carries."""
    return {"mist.instance": settings.MIST_ENGINE_CONFIG.instance}


def app_labels(app: App) -> dict[str, str]:
    return {**instance_labels(), "mist.app": str(app.pk), "mist.name": str(app)}


def deployment_labels(deployment: Deployment) -> dict[str, str]:
    return {**app_labels(deployment.app), "mist.deployment": str(deployment.pk)}


REPLICA = "mist.replica"
ROLE = "mist.role"
COMMAND = "command"
"""Role of a container that runs one command and goes; those of apps have no role."""


def replica_of(labels: Mapping[str, str]) -> int:
    """Which of its deployment's containers it is, from 1."""
    number = labels.get(REPLICA, "")
    return int(number) if number.isascii() and number.isdecimal() else 1


def command_labels(deployment: Deployment) -> dict[str, str]:
    """Of a release or post-deploy command: swept with its deployment, never taken for the app."""
    return {**deployment_labels(deployment), ROLE: COMMAND}


def is_command(labels: Mapping[str, str]) -> bool:
    return labels.get(ROLE) == COMMAND


def image_name(deployment: Deployment) -> str:
    """`mist/<instance>-<app>:<deployment>`: Docker wants it in lower case."""
    instance = settings.MIST_ENGINE_CONFIG.instance
    return f"mist/{deployment.app.label}-{instance}:{deployment.pk}"


def choose_port(app: App, exposed: Sequence[int]) -> int | None:
    """The app's own setting, else the first port that the image EXPOSEs, else 8000. None for a
    worker: nobody visits it."""
    if app.health_check == App.HealthCheck.UP:
        return None
    return app.port or (exposed[0] if exposed else DEFAULT_PORT)


def build_spec(
    deployment: Deployment,
    *,
    context: Path,
    dockerfile: Path,
    variables: Iterable[EnvironmentVariable],
) -> BuildSpec:
    """Build-time variables are both build arguments and BuildKit secrets of the same name, so a
    Dockerfile may take them as `ARG NAME` or, leaving no trace in the image, as
    `RUN --mount=type=secret,id=NAME`. Run-time ones never reach the build."""
    values = {v.name: v.value for v in variables if v.at_build}
    return BuildSpec(
        context=context,
        dockerfile=dockerfile,
        image=image_name(deployment),
        labels=deployment_labels(deployment),
        args=values,
        secrets=values,
        no_cache=deployment.no_cache,
    )


def container_env(
    deployment: Deployment, *, port: int | None, variables: Iterable[EnvironmentVariable]
) -> dict[str, str]:
    """What the app reads: Mist's own facts first, so a person's value of the same name wins. A
    worker (`port` None) has neither PORT nor MIST_URL."""
    env = {
        "MIST_APP": str(deployment.app),
        "MIST_COMMIT": deployment.commit,
        "MIST_DEPLOYMENT": str(deployment.number),
    }
    if port is not None:
        env |= {"PORT": str(port), "MIST_URL": deployment.app.url}
    return env | {v.name: v.value for v in variables if v.at_runtime}


def more_ports(port: int, *, exposed: Collection[int], led_to: Collection[int]) -> list[int]:
    """The ports beside `port` that addresses can lead to without a new container: those that the
    image exposes, unless they are a great many, and those that some lead to already."""
    known = set(exposed) if len(exposed) <= MOST_PORTS else set()
    return sorted((known | set(led_to)) - {port})


def container_spec(
    deployment: Deployment,
    *,
    port: int | None,
    variables: Iterable[EnvironmentVariable],
    replica: int = 1,
    held: Holdings = NOTHING_HELD,
) -> ContainerSpec:
    """The app's container number `replica`. Without a port the proxy does not know it."""
    app = deployment.app
    network = network_name(app.project)
    labels = {**deployment_labels(deployment), REPLICA: str(replica)}
    if port is not None:
        labels |= probe_labels(
            container_name=deployment.name_of(replica),
            service=deployment.service,
            port=port,
            network=network,
            instance=settings.MIST_ENGINE_CONFIG.instance,
            own=f"{deployment.service}-{replica}" if app.replicas > 1 else "",
            more_ports=deployment.more_ports,
            scheme="h2c" if app.protocol == App.Protocol.H2C else "",
            sticky=app.sticky_sessions,
        )
    return ContainerSpec(
        name=deployment.name_of(replica),
        image=deployment.image,
        network=network,
        env=container_env(deployment, port=port, variables=variables),
        labels=labels,
        memory_mb=app.memory_mb,
        cpus=float(app.cpus),
        restart=app.restart_policy,
        stop_signal=app.stop_signal,
        stop_timeout=stop_seconds(app),
        volumes=held.mounts(app, {**instance_labels(), "mist.app": str(app.pk)}),
        ports=held.published() if replica == 1 else (),
    )


def command_spec(
    deployment: Deployment,
    command: str,
    *,
    port: int | None,
    variables: Iterable[EnvironmentVariable],
    held: Holdings = NOTHING_HELD,
) -> ContainerSpec:
    """A container that runs `command` (words as a shell splits them) once, with all that the app's
    own container has, volumes too, but visitors and ports of the server. Raises `InvalidSource`
    for a command that cannot be split."""
    return replace(
        container_spec(deployment, port=port, variables=variables, held=held),
        ports=(),
        name=f"{deployment.container_name}-command",
        labels=command_labels(deployment),
        restart=App.RestartPolicy.NEVER.value,
        argv=split_command(command),
    )


def start_seconds(app: App) -> float:
    """How long failed health checks of a new container are forgiven."""
    own = app.health_start_seconds
    return settings.MIST_HEALTH_TIMEOUT if own is None else float(own)


def drain_seconds(app: App) -> float:
    """How long requests to a replaced version may take to end."""
    return settings.MIST_DRAIN_SECONDS if app.drain_seconds is None else float(app.drain_seconds)


def stop_seconds(app: App) -> int:
    """How long its container may take to end after the stop signal."""
    return settings.MIST_STOP_TIMEOUT if app.stop_seconds is None else app.stop_seconds


def owner_facts(labels: Mapping[str, str]) -> tuple[int, int] | None:
    """(app id, deployment id) of a container of ours that is an app's, None for anything else."""
    if is_command(labels):
        return None
    try:
        return int(labels["mist.app"]), int(labels["mist.deployment"])
    except (KeyError, ValueError):
        return None
