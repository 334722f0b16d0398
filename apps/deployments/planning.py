"""Decisions as data: what a build, a container and a route file should look like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

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


def observe(app: App, container: Container | None) -> tuple[str, str]:
    """What to show for the app: its state and a few words of detail."""
    if container is None:
        wanted = app.wanted == App.Wanted.RUNNING
        return (App.Observed.CRASHED, "container is gone") if wanted else (App.Observed.STOPPED, "")
    if container.status is ContainerStatus.RUNNING:
        return App.Observed.RUNNING, ""
    if app.wanted == App.Wanted.STOPPED:
        return App.Observed.STOPPED, ""
    reason = f"exit {container.exit_code}" if container.exit_code is not None else ""
    if container.out_of_memory:
        reason = f"{reason}, out of memory".strip(", ")
    return App.Observed.CRASHED, reason


def owner_facts(labels: Mapping[str, str]) -> tuple[int, int] | None:
    """(app id, deployment id) of a container of ours, None for anything else."""
    try:
        return int(labels["mist.app"]), int(labels["mist.deployment"])
    except (KeyError, ValueError):
        return None
