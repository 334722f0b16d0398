"""What takes its time and is done beside everything else that this process does: old versions that
finish what they have, the way back of new ones, and replacing containers one by one where a process
before left off."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from django.db import connection

from apps.deployments import following, lifecycle, pipeline
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.selectors import unretired
from apps.deployments.work import Rest

logger = logging.getLogger("mist.deployments")
_at_work: set[int] = set()
_rolling: set[int] = set()


def follow_aside(rest: Rest) -> None:
    """As `following.follow`, in a thread of its own."""
    if rest.deployment.status == Status.LIVE:
        retire_aside(rest.deployment)
        return
    _rolling.add(rest.deployment.pk)
    name = f"back-{rest.deployment.pk}"
    threading.Thread(target=_go_back, args=(rest,), name=name, daemon=True).start()


def _go_back(rest: Rest) -> None:
    try:
        try:
            goes_on = following.give_place_back(rest)
        finally:
            # Nobody has to wait for what comes now, also when Mist stops.
            _rolling.discard(rest.deployment.pk)
        if goes_on:
            _at_work.add(rest.deployment.pk)
            following.take_away(rest.deployment)
    except Exception:
        logger.exception("After deployment %s", rest.deployment.pk)
    finally:
        _at_work.discard(rest.deployment.pk)
        connection.close()


def retire_aside(deployment: Deployment) -> None:
    """As `following.retire`, in a thread of its own: a request that takes its time holds up no
    other deployment. When the process ends meanwhile, the lease tells the next one."""
    _at_work.add(deployment.pk)
    name = f"retire-{deployment.pk}"
    threading.Thread(target=_retire, args=(deployment,), name=name, daemon=True).start()


def _retire(deployment: Deployment) -> None:
    try:
        following.retire(deployment)
    except Exception:
        logger.exception("After deployment %s", deployment.pk)
    finally:
        _at_work.discard(deployment.pk)
        connection.close()


def roll_aside(deployment: Deployment) -> None:
    """As `pipeline.go_on_rolling`, in a thread of its own: health checks may take minutes."""
    _rolling.add(deployment.pk)
    name = f"roll-{deployment.pk}"
    threading.Thread(target=_roll, args=(deployment,), name=name, daemon=True).start()


def _roll(deployment: Deployment) -> None:
    rest: Rest | None = None
    try:
        rest = pipeline.resume_roll(deployment)
    except Exception:
        logger.exception("Deployment %s", deployment.pk)
    if rest is not None and rest.deployment.status != Status.LIVE:
        _go_back(rest)
        return
    _rolling.discard(deployment.pk)
    if rest is not None:
        _at_work.add(deployment.pk)
        _retire(deployment)
    else:
        connection.close()


def rolling() -> tuple[int, ...]:
    """Deployments that this process takes forward, or back, one container after the other."""
    return tuple(_rolling)


def at_work() -> tuple[int, ...]:
    """Deployments that this process is at, nobody waiting for it."""
    return (*_rolling, *_at_work)


def resume_retirements(*, owner: str, alone: bool) -> None:
    """Take away the old versions that a process left which ended before it could."""
    busy: Collection[int] = tuple(_at_work)
    for deployment in unretired(owner=owner, alone=alone, busy=busy):
        try:
            lifecycle.take_over(deployment, owner=owner)
        except Overtaken:
            continue
        retire_aside(deployment)
