"""How a deployment leaves its work when it does not go live: for good, or back into the queue."""

from __future__ import annotations

import logging

from django.db.utils import Error as DatabaseError

from apps.deployments import lifecycle
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Status
from apps.deployments.work import Interrupted, Work, wait_for_engine
from apps.engine.errors import Cancelled, EngineAway, EngineError, TimedOut

logger = logging.getLogger("mist.deployments")
AWAY_SECONDS = 60.0
"""How long an engine may be away before a deployment fails."""
AWAY_TIMES = 2
"""How often it may be away: a deployment that brings it down must not do so for ever."""
_away: dict[int, int] = {}
"""Deployment → how often the engine was away while this process worked on it."""


def begin_again(work: Work, error: Interrupted | EngineAway) -> None:
    """Back into the queue with nothing left behind: Mist stops, or the engine was away."""
    deployment = work.deployment
    try:
        if isinstance(error, EngineAway):
            _wait_for_the_engine(work, error)
        else:
            work.say("Mist stops: this deployment begins again when it is back")
        work.undo.close()
        lifecycle.queue_again(deployment)
    except EngineError as problem:
        end_badly(work, problem)
    except (Overtaken, DatabaseError) as problem:
        # Its lease runs out, and the recovery finds it.
        logger.warning("%s", problem)


def _wait_for_the_engine(work: Work, error: EngineAway) -> None:
    """Return when it answers again. Raises `error` when it does not, or was away too often, and
    `Cancelled`."""
    count = _away[work.deployment.pk] = _away.get(work.deployment.pk, 0) + 1
    if count > AWAY_TIMES:
        raise error
    work.say(f"{error.sentence} This deployment begins again when it is back")
    try:
        wait_for_engine(work.engine, work.deadline(AWAY_SECONDS, "Waiting for the engine"))
    except TimedOut:
        raise error from None


def own_fault(error: Exception) -> EngineError:
    return EngineError(
        f"Mist itself failed ({type(error).__name__}).",
        hint="The server's log holds the details. Deploy again.",
    )


def end_badly(work: Work, error: EngineError) -> None:
    """Undo, then write the reason; an undo that fails is left to the reconciliation."""
    deployment = work.deployment
    stage = deployment.status
    work.say(error.sentence)
    try:
        work.undo.close()
    except (EngineError, Overtaken, DatabaseError) as problem:
        logger.warning("Undo of deployment %s: %s", deployment.pk, problem)
    try:
        if isinstance(error, Cancelled):
            lifecycle.move(deployment, Status.CANCELLED, failed_stage=stage, container_id="")
            return
        lifecycle.move(
            deployment,
            Status.FAILED,
            failed_stage=stage,
            container_id="",
            failure=work.hidden(error.sentence)[:500],
            failure_hint=work.hidden(error.hint),
            failure_detail=work.hidden(error.detail)[-8000:],
        )
    except (Overtaken, DatabaseError) as problem:
        # Without a database the lease runs out, and the recovery finds it.
        logger.warning("%s", problem)
