"""What takes its time and is done beside everything else that this process does: old versions that
finish what they have, and replacing containers one by one where a process before left off."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from django.db import connection

from apps.deployments import lifecycle, pipeline
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment
from apps.deployments.selectors import unretired

logger = logging.getLogger("mist.deployments")
_at_work: set[int] = set()
_rolling: set[int] = set()


def retire_aside(deployment: Deployment) -> None:
    """As `pipeline.retire`, in a thread of its own: a request that takes its time holds up no
    other deployment. When the process ends meanwhile, the lease tells the next one."""
    _at_work.add(deployment.pk)
    name = f"retire-{deployment.pk}"
    threading.Thread(target=_retire, args=(deployment,), name=name, daemon=True).start()


def _retire(deployment: Deployment) -> None:
    try:
        pipeline.retire(deployment)
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
    live: Deployment | None = None
    try:
        live = pipeline.resume_roll(deployment)
    except Exception:
        logger.exception("Deployment %s", deployment.pk)
    finally:
        _rolling.discard(deployment.pk)
        if live is not None:
            _at_work.add(live.pk)
            _retire(live)
        else:
            connection.close()


def rolling() -> tuple[int, ...]:
    """What `roll_aside` is at."""
    return tuple(_rolling)


def resume_retirements(*, owner: str, alone: bool) -> None:
    """Take away the old versions that a process left which ended before it could."""
    busy: Collection[int] = tuple(_at_work)
    for deployment in unretired(owner=owner, alone=alone, busy=busy):
        try:
            lifecycle.take_over(deployment, owner=owner)
        except Overtaken:
            continue
        retire_aside(deployment)
