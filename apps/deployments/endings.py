"""How a deployment leaves its work when it does not go live: for good, or back into the queue. One
whose containers share the visitors with the old ones by then ends as well, and gives them back
afterwards (`going_back`)."""

from __future__ import annotations

import logging

from django.db.utils import Error as DatabaseError

from apps.deployments import lifecycle
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.work import Interrupted, Work, wait_for_engine
from apps.engine.errors import Cancelled, EngineAway, EngineError, TimedOut

logger = logging.getLogger("mist.deployments")
AWAY_SECONDS = 60.0
"""How long an engine may be away before a deployment fails."""
AWAY_TIMES = 2
"""How often it may be away: a deployment that brings it down must not do so for ever."""
_away: dict[tuple[int, bool], int] = {}
"""Deployment, and whether it goes back → how often the engine failed this process over it."""


def begin_again(work: Work, error: Interrupted | EngineAway) -> None:
    """Back into the queue with nothing left behind: Mist stops, or the engine was away."""
    deployment = work.deployment
    try:
        if isinstance(error, EngineAway):
            _wait_for_the_engine(work, error)
        else:
            work.say("Mist stops: this deployment begins again when it is back")
        if not _is_ours(work):
            return
        work.undo.close()
        lifecycle.queue_again(deployment)
    except EngineError as problem:
        end_badly(work, problem)
    except Interrupted:
        _leave_for_later(work)
    except (Overtaken, DatabaseError) as problem:
        # Its lease runs out, and the recovery finds it.
        logger.warning("%s", problem)
        work.undo.pop_all()


def _is_ours(work: Work) -> bool:
    """Whether nobody has taken the deployment over, as from a worker that was held up for long; if
    not, nothing of it is undone: what carries its name is another's by now, and may be live."""
    try:
        # From here on nobody does: the lease is as new as can be.
        ours = lifecycle.heartbeat(work.deployment)
    except DatabaseError as problem:
        logger.warning("%s is left to the recovery: %s", work.deployment, problem)
        ours = False
    if not ours:
        work.undo.pop_all()
    return ours


def goes_on(work: Work, error: Interrupted | EngineAway) -> bool:
    """Of one whose containers share the visitors with the old ones, who serve meanwhile, so all
    stays as it is: whether the engine is back and the work goes on. When Mist stops, the next one
    goes on with it."""
    try:
        if isinstance(error, EngineAway):
            _wait_for_the_engine(work, error)
            return True
        _leave_for_later(work)
        return False
    except EngineError as problem:
        end_badly(work, problem)
    except Interrupted:
        _leave_for_later(work)
    except (Overtaken, DatabaseError) as problem:
        logger.warning("%s", problem)
    return False


def _leave_for_later(work: Work) -> None:
    """Mist stops, and what was begun is neither undone nor gone on with before it is back."""
    work.undo.pop_all()
    if work.deployment.is_rolling:
        work.say("Mist stops: old and new containers serve on, and this goes on when it is back")
    else:
        work.say("Mist stops: this deployment begins again when it is back")
    try:
        lifecycle.give_back(work.deployment)
    except DatabaseError as problem:
        logger.warning("%s", problem)


def _wait_for_the_engine(work: Work, error: EngineAway) -> None:
    """Return when it answers again. Raises `error` when it does not, or was away too often,
    `Cancelled` and `Interrupted`."""
    if failed_too_often(work.deployment):
        raise error
    goes = "goes on" if work.deployment.is_rolling else "begins again"
    work.say(f"{error.sentence} This deployment {goes} when it is back")
    try:
        wait_for_engine(work.engine, work.deadline(AWAY_SECONDS, "Waiting for the engine"))
    except TimedOut:
        raise error from None


def failed_too_often(deployment: Deployment) -> bool:
    """Whether the engine has failed this process over it more than twice, this time included."""
    key = (deployment.pk, deployment.is_going_back)
    _away[key] = _away.get(key, 0) + 1
    return _away[key] > AWAY_TIMES


def own_fault(error: Exception) -> EngineError:
    return EngineError(
        f"Mist itself failed ({type(error).__name__}).",
        hint="The server's log holds the details. Deploy again.",
    )


def end_badly(work: Work, error: EngineError) -> None:
    """Undo, then write the reason; an undo that fails is left to the reconciliation. One whose
    containers share the visitors has its reason first: the way back takes its time."""
    deployment = work.deployment
    ended: dict[str, object] = {"failed_stage": deployment.status}
    work.say(error.sentence)
    if not _is_ours(work):
        return
    if not deployment.is_rolling:
        ended["container_id"] = ""
        try:
            work.undo.close()
        except (EngineError, Overtaken, DatabaseError) as problem:
            logger.warning("Undo of deployment %s: %s", deployment.pk, problem)
    try:
        if isinstance(error, Cancelled):
            lifecycle.move(deployment, Status.CANCELLED, **ended)
            return
        lifecycle.move(
            deployment,
            Status.FAILED,
            **ended,
            failure=work.hidden(error.sentence)[:500],
            failure_hint=work.hidden(error.hint),
            failure_detail=work.hidden(error.detail)[-8000:],
        )
    except (Overtaken, DatabaseError) as problem:
        # Without a database the lease runs out, and the recovery finds it.
        logger.warning("%s", problem)
