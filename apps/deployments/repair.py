"""What should run, set right: the container of an app's live deployment."""

from __future__ import annotations

import logging

from django.conf import settings

from apps.deployments import changes, condition, lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.condition import Repair
from apps.deployments.holdings import holdings_of, holdings_then
from apps.deployments.models import Deployment
from apps.deployments.observation import containers_of, forget_deaths
from apps.engine.connect import get_engine
from apps.engine.data import Container, ContainerStatus
from apps.engine.errors import StartFailed
from apps.projects.models import App
from apps.projects.selectors import filled_in

logger = logging.getLogger("mist.repair")


def set_right(app: App, live: Deployment) -> None:
    """Stop, start or replace the live deployment's containers until they are what the app's row
    says, one after the other, and restart them where a person asked for that. Raises
    `StartFailed`, `EngineUnavailable`."""
    containers = get_engine().containers
    for place, container in enumerate(containers_of(live)):
        running = container is not None and container.status is ContainerStatus.RUNNING
        if container is not None and running and app.restart_requested:
            containers.stop(container.id, timeout=settings.MIST_STOP_TIMEOUT)
            container = containers.inspect(container.id)
        wanted = condition.repair(app, container)
        if wanted is Repair.STOP and container is not None:
            containers.stop(container.id, timeout=settings.MIST_STOP_TIMEOUT)
        elif wanted is Repair.RESUME and container is not None:
            forget_deaths(app)
            _resume(live, place + 1, container)
        elif wanted is Repair.REPLACE:
            forget_deaths(app)
            _start_again(live, place + 1, container)


def _resume(live: Deployment, replica: int, container: Container) -> None:
    try:
        get_engine().containers.resume(container.id)
    except StartFailed as error:
        # It may be the container's own trouble, such as a network that is gone.
        logger.warning("App %s: %s", live.app, error.sentence)
        _start_again(live, replica, container)


def _start_again(live: Deployment, replica: int, old: Container | None) -> None:
    """A new container from the live deployment's image, made as the one before was."""
    containers = get_engine().containers
    if not containers.image_exists(live.image):
        queued = lifecycle.request_repair(live)
        again = "pulled" if live.wanted_image else "built"
        raise StartFailed(
            "Its image is gone" + (f", it is {again} again." if queued else ". Deploy again.")
        )
    if old is not None:
        keep_output(live.pk, old.id, replica)
    live.app = changes.app_as_of(live.app, live.made_from)
    if live.made_from is not None:
        variables = changes.unpack_variables(live.variables)
        held = holdings_then(live.made_from)
    else:
        variables, held = filled_in(live.app, strict=True), holdings_of(live.app)
    port = live.port or planning.choose_port(live.app, containers.exposed_ports(live.image))
    spec = planning.container_spec(live, port=port, variables=variables, held=held, replica=replica)
    containers.ensure_network(spec.network, labels=planning.instance_labels())
    logger.warning("App %s: %s is started again from its image", live.app, spec.name)
    container = containers.start(spec)
    if not lifecycle.replace_container(live, replica, container.id):
        containers.remove(container.id)
