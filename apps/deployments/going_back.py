"""The way back of a version that was taking over container by container, and has ended.

The old containers that have ended run again, one after the other, each checked before visitors come
to it; the new ones leave in the same measure. Never do fewer serve than before, never is there more
than one container above the usual number. In the end all is as it was.

Nobody waits for this: why it ended is known by then, and starts and grace times are long. What is
done is in the row (`Deployment.roll`) before it is done, so whoever finds the row goes on.
"""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.db.utils import Error as DatabaseError

from apps.deployments import changes, condition, lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.checking import answers
from apps.deployments.endings import failed_too_often, own_fault
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment
from apps.deployments.remaking import start_again
from apps.deployments.rolls import UP, serve
from apps.deployments.selectors import live_deployment_of
from apps.deployments.stop_first import want_back
from apps.deployments.traffic import drain, take_back_routes
from apps.deployments.undoing import remove_image
from apps.deployments.work import Interrupted, Work, check_stopping
from apps.engine.data import Container, ContainerStatus
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineAway, EngineError, StartFailed

logger = logging.getLogger("mist.deployments")
LOOK_SECONDS = 0.05


def go_back(work: Work) -> None:
    """Everything from where the row says it is until what was live has all visitors again. Raises
    `Interrupted` when Mist stops, `Overtaken`, `DatabaseError`, and what is to be tried again.

    What fails time and again while the engine answers is left to the reconciliation, or the app
    could not be deployed any more: it starts what is missing, and fewer may serve meanwhile."""
    live = live_deployment_of(work.deployment.app_id)
    try:
        if live is not None:
            _bring_back(work, live)
    except (Interrupted, Overtaken, DatabaseError):
        raise
    except Exception as error:
        if isinstance(error, EngineAway) and _is_away(work):
            raise
        problem = error if isinstance(error, EngineError) else own_fault(error)
        if not failed_too_often(work.deployment):
            work.say(f"{problem.sentence} This is tried again in a moment")
            raise
        logger.exception("After deployment %s", work.deployment.pk)
        work.say(f"{problem.sentence} Mist goes on trying")
        want_back(work.app)
    lifecycle.has_gone_back(work.deployment)


def take_away(work: Work) -> None:
    """Everything from then on until nothing of it is left. Raises `Interrupted`, `Overtaken`,
    `EngineError`."""
    # Where the way back was cut short visitors are still led to its containers.
    take_back_routes(work.app)
    problem: EngineError | None = None
    for new in _new(work):
        try:
            drain(work, work.deployment, new, cancel=_patience())
            work.engine.containers.stop(new.id, timeout=settings.MIST_STOP_TIMEOUT)
            _remove(work, new)
        except EngineError as error:
            # It keeps none of the others.
            problem = error
    if problem is not None:
        raise problem
    if work.deployment.source_id is None and work.deployment.image:
        remove_image(work, work.deployment.image)


def _bring_back(work: Work, live: Deployment) -> None:
    # The engine answers: what is said next is said once for each time that it was away.
    _old(work, live)
    work.say(f"Going back to #{live.number}")
    if work.is_resumed:
        _see_the_other_mists_steps_done(work, live)
    _remove_those_nobody_visits(work)
    _see_it_ended(work)
    away = [(number, one) for number, one in _old(work, live) if not _is_serving(work, one)]
    # Those that have not ended yet come in at once.
    away.sort(key=lambda found: not _runs(found[1]))
    back: list[str] = []
    for number, one in away:
        if not _runs(one):
            _change_places(work, live, back)
        if _bring_up(work, live, number):
            back.append(live.container_ids[number - 1])
    _try_to_serve(work, live.container_ids)
    if all(_runs(one) for _, one in _old(work, live)):
        work.say(f"All containers of #{live.number} serve again")
    else:
        work.say(f"#{live.number} is not whole yet, Mist goes on trying")
        want_back(work.app)


# ------------------------------------------------------------------------------------ old ones


def _see_the_other_mists_steps_done(work: Work, live: Deployment) -> None:
    """Of one that was killed: what it wrote is taken up, and what it may have told to end, which
    runs and is about to go, has ended."""
    _try_to_serve(work, work.deployment.serving)
    for _, one in _old(work, live):
        if one is not None and one.status in UP and not _is_serving(work, one):
            drain(work, live, one, cancel=_patience())
            work.engine.containers.stop(one.id, timeout=planning.stop_seconds(live.app))


def _see_it_ended(work: Work) -> None:
    """What was asked to end cannot be asked to stay: only when its grace time is over, it runs
    again. Nobody visits it meanwhile, and there is no room for another one."""
    if work.ending is None or work.ending.join(0):
        return
    work.say("What is ending is started again when it has ended")
    while not work.ending.join(LOOK_SECONDS):
        check_stopping()


def _bring_up(work: Work, live: Deployment, number: int) -> bool:
    """Have an old container run, and answer; whether it does. Raises `EngineAway`."""
    try:
        _start(work, live, number)
    except EngineAway:
        raise
    except EngineError as error:
        logger.warning("App %s: %s", live.app, error.sentence)
        work.say(f"Container {number} of #{live.number} is not back yet. {error.sentence}")
        return False
    app = changes.app_as_of(work.app, live.made_from)
    patience = Deadline(planning.start_seconds(app))
    while True:
        check_stopping()
        try:
            container = work.engine.containers.inspect(live.container_ids[number - 1])
            if container is not None and answers(work, live, app, container):
                work.say(f"Container {number} of #{live.number} runs again")
                return True
        except EngineAway:
            raise
        except EngineError as error:
            logger.warning("App %s: %s", live.app, error.sentence)
        if patience.remaining() <= 0:
            work.say(f"Container {number} of #{live.number} was started and does not answer yet")
            return False
        time.sleep(LOOK_SECONDS)


def _start(work: Work, live: Deployment, number: int) -> None:
    """Raises `StartFailed`, `EngineUnavailable`."""
    containers = work.engine.containers
    one = containers.inspect(live.container_ids[number - 1])
    cut_off = one is not None and condition.is_cut_off(live.app, one)
    if one is not None and one.status in UP and not cut_off:
        return
    try:
        if one is None or cut_off:
            raise StartFailed("The container is gone, or nobody reaches it.")
        containers.resume(one.id)
    except StartFailed:
        start_again(live, number, one)


# ------------------------------------------------------------------------------------ new ones


def _change_places(work: Work, live: Deployment, back: list[str]) -> None:
    """Before one more is started: visitors come to those that are back, and new ones leave until as
    many as usual run. One change of the route does both."""
    deployment, new = work.deployment, _new(work)
    usual = max(int((deployment.roll or {})["of"]), len(live.container_ids))
    over = sum(_runs(one) for _, one in _old(work, live)) + len(new) - usual
    visited = [one for one in reversed(new) if one.id in deployment.serving]
    leaving = visited[: max(0, over)]
    gone = {one.id for one in leaving}
    serving = [one for one in deployment.serving if one not in gone]
    serving += [one for one in back if one not in serving]
    if serving == deployment.serving or not _try_to_serve(work, serving):
        return
    for one in leaving:
        drain(work, deployment, one, cancel=_patience())
        _remove(work, one)


def _remove_those_nobody_visits(work: Work) -> None:
    for new in _new(work):
        if new.id not in work.deployment.serving:
            if work.is_resumed:
                # Who was killed may just have taken it out of traffic.
                drain(work, work.deployment, new, cancel=_patience())
            _remove(work, new)


def _is_away(work: Work) -> bool:
    """Whether the engine answers nothing, rather than this alone."""
    try:
        work.engine.containers.info()
        return False
    except EngineError:
        return True


def _patience() -> Deadline:
    """No limit of its own, but `Interrupted` when Mist stops."""

    def cancelled() -> bool:
        check_stopping()
        return False

    return Deadline(None, what="Draining", cancelled=cancelled)


def _remove(work: Work, new: Container) -> None:
    keep_output(work.deployment.pk, new.id, planning.replica_of(new.labels))
    work.engine.containers.remove(new.id)


# -------------------------------------------------------------------------------------- parts


def _try_to_serve(work: Work, serving: list[str]) -> bool:
    """As `serve`; False when the proxy did not take it up: it finds it when it is back. Raises
    `EngineAway`."""
    try:
        serve(work, serving)
        return True
    except EngineAway:
        raise
    except EngineError as error:
        logger.warning("App %s: %s", work.app, error.sentence)
        work.say(error.sentence)
        return False


def _old(work: Work, live: Deployment) -> list[tuple[int, Container | None]]:
    found = enumerate(live.container_ids, 1)
    return [(number, work.engine.containers.inspect(one)) for number, one in found]


def _new(work: Work) -> list[Container]:
    labels = planning.deployment_labels(work.deployment)
    found = work.engine.containers.list(labels=labels)
    return [one for one in found if not planning.is_command(one.labels)]


def _runs(container: Container | None) -> bool:
    return container is not None and container.status is ContainerStatus.RUNNING


def _is_serving(work: Work, container: Container | None) -> bool:
    if container is None or condition.is_cut_off(work.app, container):
        return False
    return _runs(container) and container.id in work.deployment.serving
