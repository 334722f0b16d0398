"""Containers that take the place of others one by one: whether, in which measure, and the room."""

from __future__ import annotations

from apps.deployments import lifecycle, planning
from apps.deployments.holdings import stops_first
from apps.deployments.models import Deployment, Status
from apps.deployments.traffic import follow_roll
from apps.deployments.work import Work
from apps.engine.data import ContainerStatus
from apps.engine.deadline import Deadline
from apps.projects.models import App

UP = (ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED)
LOOKS, LOOK_SECONDS = 300, 0.2
"""How often, and with which pause, it is asked whether an older version has ended."""
FOLLOW_SECONDS = 15.0


def one_by_one(app: App) -> bool:
    """Whether the containers of its next version take over one by one."""
    wanted = app.replacing == App.Replacing.ONE_BY_ONE
    return wanted and app.replicas > 1 and not stops_first(app)


def old_to_keep(joined: int, *, of: int, old: int) -> int:
    """How many of `old` containers still serve once `joined` `of` the new ones do. Never are there
    fewer than the smaller of both numbers, nor, with the next one beside them, more than one above
    the larger."""
    return old - joined * old // of


def serve(work: Work, serving: list[str]) -> None:
    """Lead visitors to these containers, old and new, and see that the proxy does so. Raises
    `SwitchFailed`, `EngineUnavailable`, `Overtaken`."""
    deployment = work.deployment
    lifecycle.record(deployment, roll=(deployment.roll or {}) | {"serving": serving})
    if deployment.has_address:
        follow_roll(deployment, Deadline(FOLLOW_SECONDS, what="Moving traffic"))


def wait_for_room(work: Work) -> None:
    """Of an app whose containers are replaced one by one: return when those that an earlier
    deployment left have ended, for there is memory for one more than usual; after a minute in any
    case. Raises `Cancelled`."""
    if not one_by_one(work.app):
        return
    patience = work.deadline(None, "Starting")
    for look in range(LOOKS):
        if not _leftovers(work):
            return
        if not look:
            work.say("Waiting until containers that were replaced have ended")
        patience.sleep(LOOK_SECONDS)


def _leftovers(work: Work) -> bool:
    at_home = Deployment.objects.filter(app=work.app, status=Status.LIVE)
    known = {str(pk) for pk in (work.deployment.pk, *at_home.values_list("pk", flat=True))}
    return any(
        container.status in UP
        and not planning.is_command(container.labels)
        and container.labels.get("mist.deployment") not in known
        for container in work.engine.containers.list(labels=planning.app_labels(work.app))
    )
