"""Work that runs behind the pages. A task only calls the pipeline."""

from __future__ import annotations

import logging
import os
import uuid
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import connection

from apps.deployments import draining, events, lifecycle, pipeline, reconciliation
from apps.deployments.models import Deployment
from apps.deployments.selectors import engine_problem, work_waiting
from apps.deployments.work import stopping

logger = logging.getLogger("mist.deployments")
OWNER = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
"""This process, as leases name it."""
_busy: set[int] = set()


@shared_task  # type: ignore[untyped-decorator]
def run_deployments() -> None:
    """Take waiting deployments, one after the other, until none can be taken."""
    try:
        while not stopping.is_set() and (found := claim_next()) is not None:
            _busy.add(found.pk)
            try:
                if (rest := pipeline.bring_live(found)) is not None:
                    draining.follow_aside(rest)
            finally:
                _busy.discard(found.pk)
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def apply_wishes() -> None:
    """Carry out what people asked of apps."""
    try:
        reconciliation.apply_wishes()
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def publish_routes() -> None:
    """Names that Mist gives out have changed: write every app's routes anew."""
    try:
        reconciliation.restore_routes()
        events.publish(events.LOBBY, {"type": "mist.changed"})
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def reconcile_deployments() -> None:
    """Take up abandoned work, then compare what runs with what should and set it right."""
    try:
        alone = not settings.REDIS_URL
        draining.resume_retirements(owner=OWNER, alone=alone)
        reconciliation.reconcile(
            owner=OWNER,
            alone=alone,
            busy=(*_busy, *draining.at_work()),
            retire=draining.retire_aside,
            roll=draining.roll_aside,
        )
    finally:
        # Also what was queued while the broker had forgotten everything.
        if not stopping.is_set() and work_waiting():
            wake(run_deployments)
        connection.close()


def wake(*tasks: Any) -> None:
    """Tell a worker that there is something to do. Never raises: what was asked is in the
    database, where workers look every moment, and a Redis that is gone must not undo it."""
    for task in tasks:
        try:
            task.delay()
        except Exception as error:
            logger.warning("The broker does not answer: %r", error)


def busy() -> bool:
    """Whether this process works on a deployment."""
    return bool(_busy or draining.rolling())


def claim_next() -> Deployment | None:
    """The next one in line, now ours. None also while the engine does not answer: what waits goes
    on then instead of failing."""
    if engine_problem() is not None:
        return None
    return lifecycle.claim(owner=OWNER, limit=settings.MIST_CONCURRENT_DEPLOYMENTS)
