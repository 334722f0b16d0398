"""One deployment, from the queue to live traffic.

`run` reads as the list of steps. Each step leaves an undo on the stack; when a later one fails,
the undos run in reverse and the version that was live before has served all the time.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from django.conf import settings
from django.db.utils import Error as DatabaseError

from apps.deployments import changes, lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.checking import check
from apps.deployments.cloning import clone
from apps.deployments.endings import (
    AWAY_SECONDS,
    begin_again,
    end_badly,
    leave_for_later,
    own_fault,
)
from apps.deployments.going_back import undo_by_going_back
from apps.deployments.holdings import holdings_of, holdings_then
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.pulling import pull
from apps.deployments.release import after_going_live, release
from apps.deployments.retention import prune_images
from apps.deployments.rolling import go_on, replace_one_by_one
from apps.deployments.selectors import live_deployment_of
from apps.deployments.source import advance_branch
from apps.deployments.starting import start, start_others
from apps.deployments.stop_first import bring_back
from apps.deployments.traffic import drain, move_traffic
from apps.deployments.undoing import remove_container, remove_image
from apps.deployments.work import (
    Interrupted,
    Work,
    lease,
    log_of,
    stopping,
    wait_for_engine,
)
from apps.engine.connect import get_engine
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineAway, EngineError
from apps.engine.locks import file_lock
from apps.engine.sources import find_dockerfile
from apps.projects.selectors import filled_in
from apps.sources.renaming import follow_name

logger = logging.getLogger("mist.deployments")


def run(deployment: Deployment) -> None:
    """Carry a claimed deployment to its end, whatever that is. Never raises for the outside."""
    if (live := bring_live(deployment)) is not None:
        retire(live)


def bring_live(deployment: Deployment) -> Deployment | None:
    """Everything up to live traffic. Returns what is live where `retire` has to follow, and is held
    until it has: this deployment, or the one before where this one went back to it container by
    container. Never raises for the outside."""
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        return _carry(work, lambda: _take_steps(work))


def _take_steps(work: Work) -> None:
    deployment = work.deployment
    if deployment.source_id is None:
        follow_name(work.app)
    take_stock(work)
    if deployment.source_id is None:
        if deployment.wanted_image:
            pull(work)
        else:
            clone(work)
            build(work)
        # A rollback's database is ahead of its code already.
        release(work)
    start(work)
    check(work)
    if not replace_one_by_one(work):
        start_others(work)
        switch(work)
    _say_live(work)


def _carry(work: Work, steps: Callable[[], None]) -> Deployment | None:
    """Take the steps, or undo them and write down why. Returns as `bring_live`."""
    deployment = work.deployment
    try:
        steps()
    except Overtaken as error:
        logger.warning("%s", error)
        work.undo.pop_all()
    except (Interrupted, EngineAway) as error:
        if isinstance(error, Interrupted) and deployment.is_rolling:
            leave_for_later(work)
        else:
            begin_again(work, error)
    except EngineError as error:
        end_badly(work, error)
    except Exception as error:
        logger.exception("Deployment %s failed inside Mist", deployment.pk)
        end_badly(work, own_fault(error))
    else:
        return deployment
    return work.left_to


def go_on_rolling(deployment: Deployment) -> None:
    """Carry a deployment to its end whose owner stopped or died while its containers took over one
    by one. The caller owns it by now. Never raises for the outside."""
    if (live := resume_roll(deployment)) is not None:
        retire(live)


def resume_roll(deployment: Deployment) -> Deployment | None:
    """The first part of `go_on_rolling`. Returns as `bring_live`."""
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo, is_resumed=True)
        return _carry(work, lambda: _take_up_roll(work))


def _take_up_roll(work: Work) -> None:
    deployment = work.deployment
    live = live_deployment_of(deployment.app_id)
    if live is None:
        raise EngineError("The version that it was replacing is gone.", hint="Deploy again.")
    deployment.app = changes.app_as_of(deployment.app, deployment.made_from)
    work.variables = changes.unpack_variables(deployment.variables)
    work.held = holdings_then(deployment.made_from or {})
    if deployment.source_id is None:
        work.undo.callback(remove_image, work, deployment.image)
    work.undo.callback(remove_container, work)
    undo_by_going_back(work, live)
    if why := (deployment.roll or {}).get("why"):
        raise EngineError(why)
    work.say("Mist was restarted, going on")
    go_on(work, live)
    _say_live(work)


def resume_switch(deployment: Deployment) -> bool:
    """Finish a deployment whose owner died while traffic moved. The caller owns it by now. As
    `bring_live` otherwise."""
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        if deployment.source_id is None:
            undo.callback(remove_image, work, deployment.image)
        if deployment.gap_began_at and (live := live_deployment_of(deployment.app_id)):
            undo.callback(bring_back, work, live)
        undo.callback(remove_container, work)
        try:
            work.say("Mist was restarted, going on with the switch")
            move_traffic(work)
        except Overtaken:
            undo.pop_all()
            return False
        except EngineError as error:
            end_badly(work, error)
            return False
        except Exception as error:
            logger.exception("Deployment %s failed inside Mist", deployment.pk)
            end_badly(work, own_fault(error))
            return False
        _say_live(work)
        return True


# ----------------------------------------------------------------------------------------- steps


def take_stock(work: Work) -> None:
    """Read variables, volumes and ports once and record what this deployment is made from."""
    deployment, source = work.deployment, work.deployment.source
    if source is not None and deployment.takes_old_variables:
        work.variables = changes.unpack_variables(source.variables)
    else:
        work.variables = filled_in(work.app, strict=True)
    work.held = holdings_of(work.app)
    made_from = changes.record(work.app, work.variables, work.held)
    if source is not None:
        made_from = changes.record_of_rollback(made_from, source.made_from)
    if deployment.takes_old_variables:
        # Not those of the app's last change: they are always to be compared.
        made_from["environment"] = ""
    lifecycle.record(
        deployment, made_from=made_from, variables=changes.pack_variables(work.variables)
    )
    work.hide_values()


def build(work: Work) -> None:
    """Build the image; afterwards the checkout is gone."""
    deployment, app = work.deployment, work.app
    lifecycle.move(deployment, Status.BUILDING)
    context, dockerfile = find_dockerfile(work.checkout, app.root_directory, app.dockerfile)
    spec = planning.build_spec(
        deployment, context=context, dockerfile=dockerfile, variables=work.variables
    )
    work.say(f"Building {dockerfile.relative_to(work.checkout.resolve())}")
    work.undo.callback(remove_image, work, spec.image)
    work.engine.containers.build(
        spec, log=work.line, deadline=work.deadline(settings.MIST_BUILD_TIMEOUT, "The build")
    )
    shutil.rmtree(work.checkout, ignore_errors=True)
    lifecycle.record(deployment, image=spec.image)


def switch(work: Work) -> None:
    """Point the public route at the new container and see that the proxy does so."""
    work.deadline(None, "Switching").check()
    lifecycle.move(work.deployment, Status.SWITCHING)
    move_traffic(work)


def _say_live(work: Work) -> None:
    advance_branch(work)
    work.say(f"Live at {work.app.url}" if work.deployment.has_address else "Live, a worker")


def retire(deployment: Deployment) -> None:
    """Let old containers finish what they have, take them away with images no longer kept, then
    run the post-deploy command.

    May be repeated. The deployment, live by now, is let go of in the end; when the engine or the
    database fails it is not, and whoever finds its lease run out retires again.
    """
    lock = Path(settings.MIST_DATA_DIR) / "locks" / f"retire-{deployment.app_id}"
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        try:
            with file_lock(lock):
                _retire_patiently(work)
            after_going_live(work)
            lifecycle.let_go(deployment)
        except (EngineError, DatabaseError, Overtaken) as error:
            logger.warning("After deployment %s: %s", deployment.pk, error)


def _retire_patiently(work: Work) -> None:
    while True:
        try:
            _retire_containers(work)
            break
        except EngineAway:
            patience = Deadline(AWAY_SECONDS, cancelled=stopping.is_set)
            wait_for_engine(work.engine, patience)
    prune_images(work.app)


def _retire_containers(work: Work) -> None:
    containers = work.engine.containers
    for old in containers.list(labels=planning.app_labels(work.app)):
        if planning.is_command(old.labels):
            continue  # Whoever runs it, or the reconciliation, takes it away.
        facts = planning.owner_facts(old.labels)
        row = Deployment.objects.filter(pk=facts[1]).first() if facts else None
        # The next deployment of the app may have begun meanwhile: its container is not old.
        if row is not None and (row.is_unfinished or row.status == Status.LIVE):
            continue
        if row is not None:
            drain(work, row, old)
        containers.stop(old.id, timeout=settings.MIST_STOP_TIMEOUT)
        has_gone_back = row is not None and row.roll is not None
        if facts is not None and not has_gone_back:
            keep_output(facts[1], old.id, planning.replica_of(old.labels))
        containers.remove(old.id)
        if row is not None and not has_gone_back:
            work.say(f"Deployment #{row.number} is replaced and its container removed")
    _forget_those_that_went_back(work)


def _forget_those_that_went_back(work: Work) -> None:
    """Their containers are gone by now, and what they wrote was kept when they went back: nobody
    needs their images any more."""
    over = Deployment.objects.filter(app=work.app, status__in=(Status.FAILED, Status.CANCELLED))
    for row in over.filter(roll__isnull=False):
        fields: dict[str, object] = {"roll": None}
        if row.source_id is None:
            work.engine.containers.remove_image(row.image)
            fields["image"] = ""
        over.filter(pk=row.pk).update(**fields)
