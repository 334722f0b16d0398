"""What should run, set right: the container of an app's live deployment."""

from __future__ import annotations

import logging

from django.conf import settings

from apps.deployments import condition
from apps.deployments.condition import Repair
from apps.deployments.models import Deployment
from apps.deployments.observation import containers_of, forget_deaths
from apps.deployments.remaking import start_again
from apps.engine.connect import get_engine
from apps.engine.data import Container, ContainerStatus
from apps.engine.errors import StartFailed
from apps.projects.models import App

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
            start_again(live, place + 1, container)


def _resume(live: Deployment, replica: int, container: Container) -> None:
    try:
        get_engine().containers.resume(container.id)
    except StartFailed as error:
        # It may be the container's own trouble, such as a network that is gone.
        logger.warning("App %s: %s", live.app, error.sentence)
        start_again(live, replica, container)
