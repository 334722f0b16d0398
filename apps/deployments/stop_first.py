"""Releases with a gap: the running version ends before the new one starts.

Two containers of an app with a volume or a port of the server must not run at once. So the old one
ends when the new one is about to start, and comes back when that one does not go live.
"""

from __future__ import annotations

import logging
import time

from django.db.models import F
from django.utils import timezone

from apps.deployments import changes, lifecycle, planning
from apps.deployments.checking import answers
from apps.deployments.ending import wish_lock
from apps.deployments.holdings import stops_first
from apps.deployments.models import Deployment
from apps.deployments.selectors import in_gap, live_deployment_of, rolling_deployment
from apps.deployments.traffic import drain, publish_routes, take_back_routes
from apps.deployments.work import Work, log_of, stopping
from apps.domains.planning import router_name
from apps.engine.connect import get_engine
from apps.engine.data import Container, ContainerStatus
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, StartFailed
from apps.engine.locks import file_lock
from apps.projects.models import App

logger = logging.getLogger("mist.deployments")
UP = (ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED)
LOOK_SECONDS = 0.2
CLOSE_SECONDS = 5.0


def must_wait(app: App) -> bool:
    """Whether what people ask of the app's container has to wait: a deployment decides which
    version of it runs."""
    if rolling_deployment(app) is not None:
        return True
    moving = Deployment.objects.filter(app=app, status__in=planning.MOVING).exists()
    return moving and (bool(stops_first(app)) or in_gap(app))


def make_way(work: Work) -> None:
    """End what runs of an app that cannot run twice: no new requests, those in progress get their
    answer, then its stop signal and grace time. From then on undoing brings it back. Raises
    `Cancelled`, `SwitchFailed`, `EngineUnavailable`."""
    app, reason = work.app, stops_first(work.app)
    if not reason:
        return
    # One that is being carried out ends first; later ones see that they have to wait.
    with file_lock(wish_lock(app)):
        live = live_deployment_of(app.pk)
    running = _running(work)
    if not running:
        return
    wanted = App.objects.values_list("wanted", flat=True).get(pk=app.pk)
    if live is not None and wanted == App.Wanted.RUNNING:
        work.undo.callback(bring_back, work, live)
        lifecycle.record(work.deployment, gap_began_at=timezone.now())
        work.say(f"Stopping #{live.number} first: {reason}")
        _close(work, live)
    for container in running:
        _drain(work, container)
    began = time.monotonic()
    work.end(running, seconds=planning.stop_seconds(app))
    work.say(f"What ran has ended after {time.monotonic() - began:.1f} s")


def bring_back(work: Work, live: Deployment) -> None:
    """The undo of `make_way`: the version that was live runs and answers again, and visitors are
    led to it. Where that fails the reconciliation goes on trying. Raises `Overtaken`."""
    try:
        _see_new_one_gone(work)
        if work.ending is not None and not work.ending.join(0):
            work.say(f"#{live.number} is still ending, and is started again when it has")
            want_back(work.app)
        elif _is_wanted(work.app):
            resume(live)
            _see_that_it_answers(work, live)
    except EngineError as error:
        logger.warning("App %s: %s", work.app, error.sentence)
        work.say(f"#{live.number} is not back yet. {error.sentence} Mist goes on trying")
        want_back(work.app)
    began = work.deployment.gap_began_at
    lifecycle.record(work.deployment, gap_began_at=None)
    take_back_routes(work.app)
    if began is not None:
        gap = (timezone.now() - began).total_seconds()
        work.say(f"The gap took {gap:.1f} s")


def recover(deployment: Deployment) -> None:
    """What `bring_back` does, for a deployment whose owner died and whose containers are gone.
    Raises `EngineUnavailable`."""
    live = live_deployment_of(deployment.app_id)
    if live is None or not _is_wanted(deployment.app):
        return
    with log_of(deployment) as log:
        log.write(deployment.status, f"» Mist was restarted: starting #{live.number} again")
    containers = get_engine().containers
    for container in _of(live):
        # Who died may have told it to end: then it runs and is about to go.
        containers.stop(container.id, timeout=planning.stop_seconds(live.app))
    try:
        resume(live)
    except StartFailed as error:
        logger.warning("App %s: %s", live.app, error.sentence)
        want_back(live.app)


def resume(live: Deployment) -> None:
    """Start the containers of a live deployment again that were stopped. Raises `StartFailed`."""
    found = _of(live)
    if not found:
        raise StartFailed("Its container is gone.")
    for container in found:
        if container.status not in UP:
            get_engine().containers.resume(container.id)


def want_back(app: App) -> None:
    """Have the reconciliation start what has ended of what is live, whatever its restart policy
    says. What runs goes on running."""
    wish = {"needs_apply": True, "start_requested": True, "wishes": F("wishes") + 1}
    App.objects.filter(pk=app.pk).update(**wish)


# ----------------------------------------------------------------------------------------- parts


def _running(work: Work) -> list[Container]:
    """What runs of the app beside this deployment, old versions that still drain among it."""
    own = str(work.deployment.pk)
    return [
        container
        for container in work.engine.containers.list(labels=planning.app_labels(work.app))
        if container.status in UP
        and not planning.is_command(container.labels)
        and container.labels.get("mist.deployment") != own
    ]


def _of(deployment: Deployment) -> list[Container]:
    found = get_engine().containers.list(labels=planning.deployment_labels(deployment))
    return [container for container in found if not planning.is_command(container.labels)]


def _is_wanted(app: App) -> bool:
    """Whether its live version shall run: somebody may have stopped the app meanwhile."""
    return App.objects.filter(pk=app.pk, wanted=App.Wanted.RUNNING, deleted_at=None).exists()


def _close(work: Work, live: Deployment) -> None:
    """Visitors are told to come back in a moment, so that requests can end."""
    publish_routes(work.app)
    if live.has_address:
        work.engine.proxy.wait_until_closed(
            router=router_name(work.app), deadline=work.deadline(CLOSE_SECONDS, "Closing the route")
        )


def _drain(work: Work, container: Container) -> None:
    facts = planning.owner_facts(container.labels)
    row = Deployment.objects.filter(pk=facts[1]).first() if facts else None
    cancel = work.deadline(None, "Draining")
    cancel.check()
    if row is not None:
        drain(work, row, container, cancel=cancel)


def _see_new_one_gone(work: Work) -> None:
    if _of(work.deployment):
        raise EngineError("The new version's container could not be removed.")


def _see_that_it_answers(work: Work, live: Deployment) -> None:
    """Say whether it does, within its own start time."""
    app = changes.app_as_of(work.app, live.made_from)
    patience = Deadline(planning.start_seconds(app))
    while not _answers(work, live, app):
        if patience.remaining() <= 0 or stopping.is_set():
            work.say(f"#{live.number} was started again and does not answer yet")
            return
        time.sleep(LOOK_SECONDS)
    work.say(f"#{live.number} runs again" + (" and answers" if live.has_address else ""))


def _answers(work: Work, live: Deployment, app: App) -> bool:
    running = [one for one in _of(live) if one.status is ContainerStatus.RUNNING]
    return bool(running) and answers(work, live, app, running[0])
