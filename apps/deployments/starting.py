"""The containers of a new version, started."""

from __future__ import annotations

from apps.deployments import lifecycle, planning
from apps.deployments.checking import look_at
from apps.deployments.models import Deployment, Status
from apps.deployments.rolls import wait_for_room
from apps.deployments.stop_first import make_way
from apps.deployments.traffic import gap_of
from apps.deployments.undoing import remove_container
from apps.deployments.work import Work
from apps.domains.selectors import ports_of
from apps.engine.data import Container


def start(work: Work) -> None:
    """Start the new container, on the project's own network: beside the old one, or after it where
    the app cannot have two."""
    deployment, app = work.deployment, work.app
    containers = work.engine.containers
    if deployment.source is None:
        lifecycle.move(deployment, Status.STARTING)
    else:
        work.say(f"Rolling back to #{deployment.source.number}, {_what(deployment)}")
    work.deadline(None, "Starting").check()
    exposed = containers.exposed_ports(deployment.image)
    port = planning.choose_port(app, exposed)
    if port is not None:
        more = planning.more_ports(port, exposed=exposed, led_to=ports_of(app))
        lifecycle.record(deployment, more_ports=more)
    containers.ensure_network(planning.network_name(app.project), labels=planning.instance_labels())
    make_way(work)
    wait_for_room(work)
    work.undo.callback(remove_container, work)
    container = start_container(work, port)
    gap = gap_of(deployment) if port is None else {}
    lifecycle.record(deployment, container_id=container.id, port=port, **gap)


def _what(deployment: Deployment) -> str:
    return deployment.pulled_image or deployment.short_commit


def start_others(work: Work) -> None:
    """Where the app has several containers: the rest of them, each once the one before works."""
    deployment = work.deployment
    for replica in range(2, work.app.replicas + 1):
        work.replica = replica
        container = start_container(work, deployment.port)
        lifecycle.record(deployment, replica_ids=[*deployment.replica_ids, container.id])
        look_at(work)


def start_container(work: Work, port: int | None) -> Container:
    """Start the container that the work is at."""
    app = work.app
    spec = planning.container_spec(
        work.deployment, port=port, variables=work.variables, held=work.held, replica=work.replica
    )
    at = "no port" if port is None else f"port {port}"
    work.say(f"Starting {spec.name}: {app.memory_mb} MB memory, {app.cpus} CPU, {at}")
    # `start` replaces a container of that name: it must not be that of whoever took this over.
    work.deadline(None, "Starting").check()
    return work.engine.containers.start(spec)
