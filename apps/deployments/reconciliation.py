"""Makes what is what should be: after a crash, after a person's wish, every 30 s.

Everything here may run again at any time. Containers without this instance's label are never
touched, volumes never removed.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from apps.deployments import events, lifecycle, planning, repair, stop_first
from apps.deployments.archive import forget_output, keep_output
from apps.deployments.ending import wish_lock
from apps.deployments.following import retire
from apps.deployments.logs import log_path
from apps.deployments.models import AT_HOME, RUNNING, UNFINISHED, WITH_ROLL, Deployment, Status
from apps.deployments.observation import hold_repairs, observe_all, observe_app
from apps.deployments.pipeline import go_on_rolling
from apps.deployments.recovery import recover_abandoned
from apps.deployments.selectors import live_deployment, unretired_apps
from apps.deployments.traffic import (
    astray,
    finish_moves,
    publish_routes,
    restore_routes_of,
    route_lock,
)
from apps.domains.planning import router_name
from apps.engine.connect import get_engine
from apps.engine.data import Container
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, EngineUnavailable, StartFailed
from apps.engine.locks import try_file_lock
from apps.projects.models import App
from apps.projects.selectors import kept_path

logger = logging.getLogger("mist.reconciliation")
RETRY_SECONDS = 5.0
GRACE = 60.0
"""Seconds for which something that should not be there is left where it is."""
_not_before: dict[int, float] = {}
"""App → when its wishes may be tried again, after the engine did not answer."""


def reconcile(
    *,
    owner: str,
    alone: bool,
    busy: Collection[int] = frozenset(),
    retire: Callable[[Deployment], None] = retire,
    roll: Callable[[Deployment], None] = go_on_rolling,
) -> None:
    """Take up abandoned work, then compare what runs with what should and set it right. What an
    engine that does not answer leaves undone, the next round does."""
    recover_abandoned(owner=owner, alone=alone, busy=busy, retire=retire, roll=roll)
    restore_routes()
    try:
        sweep_commands()
        observe_all()
        apply_wishes()
        remove_orphans()
    except EngineUnavailable as error:
        logger.warning("Reconciliation: %s", error.sentence)
    except DatabaseError as error:
        # Locked, or its disk is full: the next round finds the same.
        logger.warning("Reconciliation: %s", error)


def sweep_commands() -> None:
    """Take away containers of release and post-deploy commands that nobody waits for any more.
    Raises `EngineUnavailable`."""
    containers = get_engine().containers
    wanted = planning.instance_labels() | {planning.ROLE: planning.COMMAND}
    for container in containers.list(labels=wanted):
        deployment_id = container.labels.get("mist.deployment", "")
        row = Deployment.objects.filter(pk=deployment_id if deployment_id.isdecimal() else 0)
        if not any(found.is_at_work for found in row):
            logger.info("Removing the command %s", container.name)
            containers.remove(container.id)


def apply_wishes() -> None:
    """Carry out what people asked of apps: stop, start, restart, new host names, deletion.

    A wish stays on the row until it is carried out, so one whose process dies is taken up again;
    it is tried again a little later while the engine does not answer.
    """
    for app in App.objects.filter(needs_apply=True).select_related("project"):
        if _not_before.get(app.pk, 0.0) > time.monotonic():
            continue
        with try_file_lock(wish_lock(app)) as held:
            fresh = App.objects.select_related("project").filter(pk=app.pk, needs_apply=True)
            if held and (found := fresh.first()) is not None:
                _apply_wish(found)


def _apply_wish(app: App) -> None:
    problem = ""
    try:
        if not apply_app(app):
            return
    except StartFailed as error:
        problem = error.sentence
    except EngineError as error:
        _not_before[app.pk] = time.monotonic() + RETRY_SECONDS
        logger.warning("App %s: %s", app, error.sentence)
        App.objects.filter(pk=app.pk).update(observed_detail=error.sentence[:200])
        events.app_changed(app_id=app.pk)
        return
    _not_before.pop(app.pk, None)
    if app.pk is None:
        return  # deleted
    if problem:
        hold_repairs(app)
    done = App.objects.filter(pk=app.pk, wishes=app.wishes)
    if done.update(needs_apply=False, start_requested=False, restart_requested=False):
        app.start_requested = app.restart_requested = False
    observe_app(app)
    if problem:
        App.objects.filter(pk=app.pk).update(observed_detail=problem[:200])
    events.app_changed(app_id=app.pk)


def apply_app(app: App) -> bool:
    """Make the engine and the proxy match the app's row; False when it has to wait for a
    deployment to end. Raises `EngineError`."""
    if app.deleted_at is not None:
        return remove_app(app)
    if stop_first.must_wait(app):
        publish_routes(app)
        finish_moves(app)
        return False
    live = live_deployment(app)
    if live is not None:
        repair.set_right(app, live)
    publish_routes(app)
    finish_moves(app)
    return True


def restore_routes() -> None:
    """Write every route file anew that is not what the database says, and take away those of apps
    that it does not know."""
    for app in astray():
        try:
            restore_routes_of(app)
        except EngineError as error:
            # A full disk, for example: what is there stays, and all else is set right.
            logger.warning("The routes of %s: %s", app, error.sentence)
    proxy = get_engine().proxy
    # In this order: an app that is made and routed in between is in the second, not in the first.
    routed = proxy.routed_apps()
    known = {str(pk) for pk in App.objects.values_list("pk", flat=True)}
    for name in routed:
        if name not in known:
            logger.warning("Removing the routes of app %s, which does not exist", name)
            proxy.remove_routes(name)


def remove_orphans() -> None:
    """Take away containers of this instance whose deployment is over, or that nobody knows. Those
    of an app whose old version is being retired are left to whoever does: they may have requests,
    and time to end, for as long as the app's settings say."""
    engine = get_engine()
    needed = Deployment.objects.filter(AT_HOME)
    known, retiring = set(needed.values_list("pk", flat=True)), unretired_apps()
    for container in engine.containers.list(labels=planning.instance_labels()):
        facts = planning.owner_facts(container.labels)
        if facts is None or facts[0] in retiring or facts[1] in known:
            continue
        if _has_been_over(facts[1], container):
            logger.info("Removing the orphan %s", container.name)
            if Deployment.objects.filter(pk=facts[1]).exists():
                keep_output(facts[1], container.id, planning.replica_of(container.labels))
            engine.containers.remove(container.id)


def remove_app(app: App) -> bool:
    """Take away everything an app has, then its row; False while a deployment has yet to end.
    Raises `EngineError`; may be repeated."""
    for deployment in Deployment.objects.filter(app=app, status__in=UNFINISHED):
        lifecycle.cancel(deployment, by=None)
    # The live one is held until the old version is gone, by somebody who writes to its log; one
    # that goes back until its own containers are.
    held = Q(status__in=RUNNING) | WITH_ROLL | Q(status=Status.LIVE) & ~Q(owner="")
    if Deployment.objects.filter(held, app=app).exists():
        return False
    engine = get_engine()
    with route_lock(app):
        engine.proxy.remove_routes(str(app.pk))
        engine.proxy.wait_until_gone(
            router=router_name(app), deadline=Deadline(5, what="Removing the route")
        )
    for container in engine.containers.list(labels=planning.app_labels(app)):
        engine.containers.stop(container.id, timeout=settings.MIST_STOP_TIMEOUT)
        engine.containers.remove(container.id)
    for deployment in Deployment.objects.filter(app=app):
        if deployment.image:
            engine.containers.remove_image(deployment.image)
        log_path(deployment.pk).unlink(missing_ok=True)
        forget_output(deployment.pk)
    shutil.rmtree(Path(settings.MIST_DATA_DIR) / "repos" / str(app.pk), ignore_errors=True)
    shutil.rmtree(kept_path(app), ignore_errors=True)
    if not App.objects.filter(project=app.project, deleted_at=None).exists():
        engine.containers.remove_network(planning.network_name(app.project))
    app_id = app.pk
    app.delete()
    events.app_changed(app_id=app_id)
    return True


# ----------------------------------------------------------------------------------------- parts


def _has_been_over(pk: int, container: Container) -> bool:
    """Whether the deployment ended more than a minute ago; where it is not in the database at all,
    whether the container is older than that."""
    now = timezone.now()
    row = Deployment.objects.filter(pk=pk).first()
    if row is None:
        return container.created_at is None or (now - container.created_at).total_seconds() > GRACE
    if row.finished_at is None:
        return False
    age = (now - row.finished_at).total_seconds()
    newer = Deployment.objects.filter(app=row.app_id, status=Status.LIVE).first()
    if newer is not None and newer.finished_at is not None:
        age = min(age, (now - newer.finished_at).total_seconds())
    return age > GRACE
