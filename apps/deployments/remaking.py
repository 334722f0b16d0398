"""A container of what is live, made again from its image."""

from __future__ import annotations

import logging

from apps.deployments import changes, lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.holdings import holdings_of, holdings_then
from apps.deployments.models import Deployment
from apps.engine.connect import get_engine
from apps.engine.data import Container
from apps.engine.errors import StartFailed
from apps.projects.selectors import filled_in

logger = logging.getLogger("mist.repair")


def start_again(live: Deployment, replica: int, old: Container | None) -> None:
    """A new container from the live deployment's image, made as the one before was. Raises
    `StartFailed`, `EngineUnavailable`."""
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
