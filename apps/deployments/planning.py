"""Decisions as data: what a build, a container and a route file should look like."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from apps.deployments.models import Deployment
from apps.engine.base import BuildSpec, Container, ContainerSpec, ContainerStatus
from apps.engine.labels import probe_labels
from apps.projects.models import App, EnvironmentVariable, Project

DEFAULT_PORT = 8000


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


def image_name(deployment: Deployment) -> str:
    """`mist/<instance>-<app>:<deployment>`: Docker wants it in lower case."""
    instance = settings.MIST_ENGINE_CONFIG.instance
    return f"mist/{deployment.app.label}-{instance}:{deployment.pk}"


def choose_port(app: App, exposed: Sequence[int]) -> int:
    """The app's own setting, else the first port that the image EXPOSEs, else 8000."""
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
    deployment: Deployment, *, port: int, variables: Iterable[EnvironmentVariable]
) -> dict[str, str]:
    """What the app reads: Mist's own facts first, so a person's value of the same name wins."""
    env = {
        "PORT": str(port),
        "MIST_APP": str(deployment.app),
        "MIST_COMMIT": deployment.commit,
        "MIST_DEPLOYMENT": str(deployment.number),
        "MIST_URL": deployment.app.url,
    }
    return env | {v.name: v.value for v in variables if v.at_runtime}


def container_spec(
    deployment: Deployment, *, port: int, variables: Iterable[EnvironmentVariable]
) -> ContainerSpec:
    app = deployment.app
    network = network_name(app.project)
    return ContainerSpec(
        name=deployment.container_name,
        image=deployment.image,
        network=network,
        env=container_env(deployment, port=port, variables=variables),
        labels=deployment_labels(deployment)
        | probe_labels(
            container_name=deployment.container_name,
            service=deployment.service,
            port=port,
            network=network,
            instance=settings.MIST_ENGINE_CONFIG.instance,
        ),
        memory_mb=app.memory_mb,
        cpus=float(app.cpus),
        stop_timeout=settings.MIST_STOP_TIMEOUT,
    )


class Repair(enum.Enum):
    """What brings a live deployment's container to where the app's row says it should be."""

    NOTHING = enum.auto()
    STOP = enum.auto()
    RESUME = enum.auto()
    REPLACE = enum.auto()
    """A new one from the same image: it is gone, or cut off from its project's network."""


def repair(app: App, container: Container | None) -> Repair:
    """Compare what a person wants with what runs. One that the engine starts again by itself, and
    one that was paused by hand, are left as they are."""
    up = (ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED)
    if app.wanted == App.Wanted.STOPPED:
        return Repair.STOP if container is not None and container.status in up else Repair.NOTHING
    if container is None:
        return Repair.REPLACE
    if container.status is ContainerStatus.RUNNING:
        reached = container.addresses.get(network_name(app.project))
        return Repair.NOTHING if reached else Repair.REPLACE
    if container.status in up or container.status is ContainerStatus.REMOVING:
        return Repair.NOTHING
    return Repair.RESUME


class Death(NamedTuple):
    """A container that ended without anybody telling it to."""

    deployment_id: int
    at: float
    """Seconds since the epoch."""
    exit_code: int | None
    out_of_memory: bool


DEATH_WINDOW = 120.0
"""Seconds over which deaths are counted."""
STEADY = 30.0
"""Seconds that an app has to run after its second death to count as running again."""


def observe(
    app: App, container: Container | None, deaths: Sequence[Death], *, now: float
) -> tuple[str, str]:
    """What to show for the app: its state and a few words of detail. `deaths` are those of the
    live deployment, oldest first; `now` is in seconds since the epoch."""
    if app.wanted == App.Wanted.STOPPED and (
        container is None or container.status is not ContainerStatus.RUNNING
    ):
        return App.Observed.STOPPED, ""
    if container is None:
        return App.Observed.CRASHED, "container is gone"
    recent = [death for death in deaths if death.at > now - DEATH_WINDOW]
    loops = len(recent) > 1 and recent[-1].at > now - STEADY
    if container.status is ContainerStatus.RESTARTING or (
        container.status is ContainerStatus.RUNNING and loops
    ):
        return App.Observed.RESTARTING, _restarts(container, recent)
    if container.status is ContainerStatus.RUNNING:
        if container.health == "unhealthy":
            return App.Observed.UNHEALTHY, "its own health check fails"
        return App.Observed.RUNNING, ""
    if container.status is ContainerStatus.PAUSED:
        return App.Observed.UNHEALTHY, "paused by hand"
    return App.Observed.CRASHED, _reason(container.exit_code, container.out_of_memory)


def _reason(exit_code: int | None, out_of_memory: bool) -> str:
    words = [f"exit {exit_code}"] if exit_code is not None else []
    return ", ".join([*words, "out of memory"] if out_of_memory else words)


def _restarts(container: Container, recent: Sequence[Death]) -> str:
    if not recent:
        return f"{container.restarts} times so far"
    count = "once" if len(recent) == 1 else f"{len(recent)} times"
    last = _reason(recent[-1].exit_code, any(death.out_of_memory for death in recent))
    return f"{count} in {DEATH_WINDOW / 60:.0f} min" + (f", {last}" if last else "")


def owner_facts(labels: Mapping[str, str]) -> tuple[int, int] | None:
    """(app id, deployment id) of a container of ours, None for anything else."""
    try:
        return int(labels["mist.app"]), int(labels["mist.deployment"])
    except (KeyError, ValueError):
        return None
