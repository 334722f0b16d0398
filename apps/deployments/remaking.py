"""A container of what is live, made again from its image."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import Q

from apps.audit import trail
from apps.deployments import changes, events, lifecycle, planning, queueing
from apps.deployments.archive import keep_output
from apps.deployments.holdings import holdings_of, holdings_then
from apps.deployments.models import UNFINISHED, Deployment
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
        queued = request_repair(live)
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


def request_repair(live: Deployment) -> bool:
    """Queue a live deployment, whose image is gone, again: its commit, or that very image of a
    registry. Once, and not when another one is on its way. Whether it was queued."""
    with transaction.atomic():
        newer = Deployment.objects.filter(app=live.app_id, pk__gt=live.pk)
        if newer.filter(Q(status__in=UNFINISHED) | Q(trigger=Deployment.Trigger.REPAIR)).exists():
            return False
        deployment = queueing.create(
            live.app,
            # Nobody has asked for it, and somebody may just have stopped the app.
            may_start=False,
            ref=live.ref,
            commit=live.commit,
            wanted_image=live.pinned_image,
            trigger=Deployment.Trigger.REPAIR,
        )
        after = trail.facts(deployment, "trigger", "ref", "commit")
        trail.record("deployment.request", deployment, after=after)
        ids = {"deployment_id": deployment.pk, "app_id": deployment.app_id}
        transaction.on_commit(lambda: events.deployment_changed(**ids))
    return True
