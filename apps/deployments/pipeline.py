"""One deployment, from the queue to live traffic.

`run` reads as the list of steps. Each step leaves an undo on the stack; when a later one fails,
the undos run in reverse and the version that was live before has served all the time. Once old and
new containers share the visitors, `going_back` takes the place of the undos.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import ExitStack

from django.conf import settings

from apps.deployments import changes, lifecycle, planning
from apps.deployments.checking import check
from apps.deployments.cloning import clone
from apps.deployments.endings import begin_again, end_badly, goes_on, own_fault
from apps.deployments.following import follow
from apps.deployments.holdings import holdings_of, holdings_then
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.pulling import pull
from apps.deployments.release import release
from apps.deployments.rolling import go_on, replace_one_by_one
from apps.deployments.selectors import live_deployment_of
from apps.deployments.source import advance_branch
from apps.deployments.starting import start, start_others
from apps.deployments.stop_first import bring_back
from apps.deployments.traffic import move_traffic
from apps.deployments.undoing import remove_container, remove_image
from apps.deployments.work import (
    Interrupted,
    Rest,
    Work,
    lease,
    log_of,
)
from apps.engine.connect import get_engine
from apps.engine.errors import EngineAway, EngineError
from apps.engine.sources import find_dockerfile
from apps.projects.selectors import filled_in
from apps.sources.renaming import follow_name

logger = logging.getLogger("mist.deployments")


def run(deployment: Deployment) -> None:
    """Carry a claimed deployment to its end, whatever that is. Never raises for the outside."""
    if (rest := bring_live(deployment)) is not None:
        follow(rest)


def bring_live(deployment: Deployment) -> Rest | None:
    """Everything up to live traffic, or to why there is none. Returns what `follow` has to do,
    until when the deployment is held. Never raises for the outside."""
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


def _carry(work: Work, steps: Callable[[], None]) -> Rest | None:
    """Take the steps, or undo them and write down why. Returns as `bring_live`."""
    deployment = work.deployment
    try:
        steps()
    except Overtaken as error:
        logger.warning("%s", error)
        work.undo.pop_all()
    except (Interrupted, EngineAway) as error:
        if not deployment.is_rolling:
            begin_again(work, error)
        elif goes_on(work, error):
            work.is_resumed = True
            return _carry(work, lambda: _take_up_roll(work))
    except EngineError as error:
        end_badly(work, error)
    except Exception as error:
        logger.exception("Deployment %s failed inside Mist", deployment.pk)
        end_badly(work, own_fault(error))
    else:
        return Rest(deployment)
    return Rest(deployment, work.ending, work.is_resumed) if deployment.is_going_back else None


def go_on_rolling(deployment: Deployment) -> None:
    """Carry a deployment to its end whose owner stopped or died while its containers took over one
    by one, or gave that back. The caller owns it by now. Never raises for the outside."""
    if (rest := resume_roll(deployment)) is not None:
        follow(rest)


def resume_roll(deployment: Deployment) -> Rest | None:
    """The first part of `go_on_rolling`. Returns as `bring_live`."""
    if not deployment.is_rolling:
        return Rest(deployment, is_resumed=True)
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
    work.say("Going on with what was begun")
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
