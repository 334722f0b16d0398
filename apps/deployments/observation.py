"""What the engine does with apps, written down as it happens.

Events bring the news within a moment; what they may have missed a comparison of everything finds
at the start, whenever the engine comes back, and every 30 s.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from django.db import connection
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from apps.deployments import condition, events, planning
from apps.deployments.condition import DEATH_WINDOW, Death, Repair
from apps.deployments.models import Deployment, EngineState, Status
from apps.deployments.selectors import in_gap, live_deployment, rolling_deployment
from apps.deployments.traffic import follow_containers
from apps.engine.connect import get_engine
from apps.engine.data import Container, ContainerEvent, ContainerStatus
from apps.engine.deadline import Deadline
from apps.engine.errors import Cancelled, EngineError, EngineUnavailable
from apps.projects.models import App

logger = logging.getLogger("mist.observation")
TELLING = frozenset(
    {"start", "die", "stop", "restart", "oom", "pause", "unpause", "destroy", "health_status"}
)
DEATHS_KEPT = 20
REPAIR_SECONDS = 30.0
_not_before: dict[int, float] = {}
"""App → when it may be set right again, after that failed."""
KILL_COUNTS = 15.0
"""Seconds for which a container that was told to end is not one that died by itself."""


def observe_app(app: App) -> bool:
    """Write down what the engine does with the app; whether that is something to set right, which
    `reconciliation.apply_wishes` then does. Raises `EngineUnavailable`."""
    live = live_deployment(app)
    if live is None:
        _note(app, (App.Observed.NONE, ""))
        return False
    return _compare(app, live, containers_of(live))


def observe_all() -> bool:
    """Compare every app with what runs; whether there is something to set right. Raises
    `EngineUnavailable`."""
    try:
        containers = get_engine().containers.list(labels=planning.instance_labels())
    except EngineUnavailable as error:
        note_engine(error.sentence)
        raise
    note_engine("")
    by_id = {container.id: container for container in containers}
    rows = Deployment.objects.filter(status=Status.LIVE).select_related("app__project")
    rows = rows.defer("made_from", "variables")
    found = [_compare(row.app, row, [by_id.get(one) for one in _ids(row)]) for row in rows]
    return any(found)


def note_engine(problem: str) -> None:
    """Write down that the engine answers (no `problem`), or why it does not."""
    before = EngineState.objects.values_list("problem", flat=True).first()
    if (before or "") == problem:
        return
    EngineState.objects.update_or_create(
        pk=1, defaults={"problem": problem[:200], "since": timezone.now()}
    )
    events.engine_changed()


def hold_repairs(app: App) -> None:
    """It could not be set right just now: leave it for a while."""
    _not_before[app.pk] = time.monotonic() + REPAIR_SECONDS


def watch_engine(stopping: threading.Event, repair: Callable[[], object]) -> None:
    """Write down what happens to containers as the engine tells it, until `stopping` is set, and
    call `repair` when there is something to set right.

    The engine may go and come back: then everything is compared anew.
    """
    pause = 1.0
    while not stopping.is_set():
        try:
            deadline = Deadline(None, cancelled=stopping.is_set)
            told = get_engine().containers.events(
                labels=planning.instance_labels(), deadline=deadline
            )
            if observe_all():
                repair()
            watch = EventWatch()
            for event in told:
                pause = 1.0
                if watch.note(event):
                    repair()
        except Cancelled:
            return
        except (EngineError, DatabaseError) as error:
            logger.warning("Watching the engine: %s", error)
            _note_silence(error)
            connection.close()
        stopping.wait(pause)
        pause = min(pause * 2, 15.0)


def _note_silence(error: Exception) -> None:
    if isinstance(error, EngineUnavailable):
        try:
            note_engine(error.sentence)
        except DatabaseError as problem:
            logger.warning("Watching the engine: %s", problem)


class EventWatch:
    """Tells containers that died by themselves from those that were told to end."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        """Container → when it was last sent a signal."""
        self._starved: set[str] = set()
        """Containers in which something has just run out of memory."""

    def note(self, event: ContainerEvent) -> bool:
        """Take one event of the engine up; whether there is something to set right now."""
        facts = planning.owner_facts(event.labels)
        if facts is None:
            return False
        if event.action == "kill":
            self._told[event.container_id] = time.monotonic()
        elif event.action == "oom":
            self._starved.add(event.container_id)
        elif event.action == "destroy":
            self._told.pop(event.container_id, None)
            self._starved.discard(event.container_id)
        if event.action not in TELLING:
            return False
        app = App.objects.select_related("project").filter(pk=facts[0], deleted_at=None).first()
        if app is None:
            return False
        if event.action == "die":
            self._note_death(app, facts[1], event)
        if event.action in ("start", "die"):
            follow_containers(app)
        return observe_app(app)

    def _note_death(self, app: App, deployment_id: int, event: ContainerEvent) -> None:
        starved = event.container_id in self._starved
        self._starved.discard(event.container_id)
        told = self._told.pop(event.container_id, None)
        if told is not None and time.monotonic() - told < KILL_COUNTS:
            return
        at = event.time.timestamp()
        death = Death(deployment_id, at, event.exit_code, starved, event.container_id)
        recent = [d for d in _deaths(app) if d.at > death.at - DEATH_WINDOW]
        kept = [*recent, death][-DEATHS_KEPT:]
        app.deaths = [list(d) for d in kept]
        App.objects.filter(pk=app.pk).update(deaths=app.deaths)


def forget_deaths(app: App) -> None:
    """Somebody starts the app by hand: what was before does not count any more."""
    app.deaths = []
    App.objects.filter(pk=app.pk).update(deaths=[])


def containers_of(deployment: Deployment) -> list[Container | None]:
    """All that it should have, in their order; None for each that is gone."""
    containers = get_engine().containers
    return [containers.inspect(one) for one in _ids(deployment)]


def _ids(deployment: Deployment) -> list[str]:
    return deployment.container_ids or ["none"]


def _deaths(app: App) -> list[Death]:
    return [Death(*row) for row in app.deaths]


def _seen(app: App, live: Deployment, containers: Sequence[Container | None]) -> tuple[str, str]:
    up = [c for c in containers if c is not None and c.status is ContainerStatus.RUNNING]
    if len(up) < len(containers):
        rolling = rolling_deployment(app)
        if rolling is not None:
            # The others have made way for a new version's, which its deployment looks at.
            mine = zip(_ids(live), containers, strict=True)
            containers = [found for one, found in mine if one in rolling.serving]
        if app.start_requested or app.restart_requested or in_gap(app) or not containers:
            # A person restarts it, or it makes way for a new version: it is neither crashed nor
            # stopped in between.
            return app.observed, app.observed_detail
    deaths = [death for death in _deaths(app) if death.deployment_id == live.pk]
    return condition.observe_together(
        [
            condition.observe(app, one, _of_container(deaths, one), now=time.time())
            for one in containers
        ]
    )


def _of_container(deaths: list[Death], container: Container | None) -> list[Death]:
    known = container.id if container is not None else ""
    return [death for death in deaths if death.container_id in ("", known)]


def _compare(app: App, live: Deployment, containers: Sequence[Container | None]) -> bool:
    seen = _seen(app, live, containers)
    is_held = _not_before.get(app.pk, 0.0) > time.monotonic()
    if not (is_held and seen[0] == app.observed and app.observed_detail):
        # Why it could not be set right says more than that it still is not.
        _note(app, seen)
    repairs = {condition.repair(app, container) for container in containers}
    if repairs == {Repair.NOTHING} or app.deleted_at is not None:
        return False
    if is_held:
        return False
    # While traffic moves, the deployment that moves it, or gives it back, knows what has to run.
    moving = Deployment.objects.filter(app=app, status__in=planning.MOVING)
    if moving.exists() or rolling_deployment(app) is not None:
        return False
    # A wish that is being carried out at this moment may be why: then it is marked already.
    marked = App.objects.filter(pk=app.pk, needs_apply=False).update(needs_apply=True)
    if marked:
        logger.warning("App %s is not as it should be: %s", app, app.observed_detail or "stopped")
    return bool(marked)


def _note(app: App, seen: tuple[str, str]) -> None:
    state, detail = seen[0], seen[1][:200]
    if (app.observed, app.observed_detail) != (state, detail):
        App.objects.filter(pk=app.pk).update(observed=state, observed_detail=detail)
        app.observed, app.observed_detail = state, detail
        events.app_changed(app_id=app.pk)
