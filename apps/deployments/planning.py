"""Decisions as data: what a build, a container and a route file should look like."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from apps.deployments.holdings import NOTHING_HELD, Holdings
from apps.deployments.models import Deployment, Status
from apps.engine.base import BuildSpec, Container, ContainerSpec, ContainerStatus
from apps.engine.labels import probe_labels
from apps.engine.run_settings import split_command
from apps.projects.models import App, EnvironmentVariable, Project

DEFAULT_PORT = 8000
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


class Repair(enum.Enum):
    """What brings a live deployment's container to where the app's row says it should be."""

    NOTHING = enum.auto()
    STOP = enum.auto()
    RESUME = enum.auto()
    REPLACE = enum.auto()
    """A new one from the same image: it is gone, or cut off from its project's network."""


def repair(app: App, container: Container | None) -> Repair:
    """Compare what a person wants with what runs. One that the engine starts again by itself, one
    that was paused by hand and one that may end by itself are left as they are."""
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
    if stays_down(container) and not app.restart_requested:
        return Repair.NOTHING
    return Repair.RESUME


def stays_down(container: Container) -> bool:
    """Whether it ended and the restart policy that it was started with leaves it there."""
    if container.status is not ContainerStatus.EXITED:
        return False
    return container.restart == App.RestartPolicy.NEVER or has_ended(container)


def has_ended(container: Container) -> bool:
    """Whether it ended by itself, well, and as its restart policy allows."""
    return (
        container.status is ContainerStatus.EXITED
        and container.exit_code == 0
        and container.restart in (App.RestartPolicy.NEVER, App.RestartPolicy.ON_FAILURE)
    )


class Death(NamedTuple):
    """A container that ended without anybody telling it to."""

    deployment_id: int
    at: float
    """Seconds since the epoch."""
    exit_code: int | None
    out_of_memory: bool
    container_id: str = ""


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
    if has_ended(container):
        return App.Observed.ENDED, "exit 0"
    return App.Observed.CRASHED, _reason(container.exit_code, container.out_of_memory)


def observe_together(seen: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """What to show for an app of what its containers are seen to do: the worst of it, but an app
    of which some still runs is not down."""
    worst = max(seen, key=lambda one: _BADNESS.index(one[0]))
    count = sum(one[0] == worst[0] for one in seen)
    if len(seen) == 1 or (count == len(seen) and not worst[1]):
        return worst
    if worst[0] == App.Observed.RUNNING:
        return worst
    part = f"{count} of {len(seen)} containers {App.Observed(worst[0]).label.lower()}"
    detail = f"{part}, {worst[1]}" if worst[1] else part
    still = any(one[0] == App.Observed.RUNNING for one in seen)
    return (App.Observed.UNHEALTHY if still else worst[0]), detail


_BADNESS = (
    App.Observed.NONE,
    App.Observed.RUNNING,
    App.Observed.STOPPED,
    App.Observed.ENDED,
    App.Observed.UNHEALTHY,
    App.Observed.RESTARTING,
    App.Observed.CRASHED,
)


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
    """(app id, deployment id) of a container of ours that is an app's, None for anything else."""
    if is_command(labels):
        return None
    try:
        return int(labels["mist.app"]), int(labels["mist.deployment"])
    except (KeyError, ValueError):
        return None
