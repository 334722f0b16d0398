"""Work whose owner died: finished where traffic was moving, or was given back, else begun again.

Everything here may run again at any time.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from django.conf import settings

from apps.deployments import lifecycle, planning, stop_first
from apps.deployments.following import retire
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.observation import containers_of
from apps.deployments.pipeline import go_on_rolling, resume_switch
from apps.deployments.selectors import abandoned
from apps.deployments.traffic import publish_routes, take_back_routes
from apps.deployments.work import lease
from apps.engine.connect import get_engine
from apps.engine.data import ContainerStatus
from apps.engine.errors import EngineError

logger = logging.getLogger("mist.reconciliation")


def recover_abandoned(
    *,
    owner: str,
    alone: bool,
    busy: Collection[int] = frozenset(),
    retire: Callable[[Deployment], None] = retire,
    roll: Callable[[Deployment], None] = go_on_rolling,
) -> int:
    """Give work whose owner died back to the queue, or finish it where traffic was moving. `busy`
    are deployments that this process works on; `retire` follows a switch that was finished, and
    `roll` goes on where containers are replaced one by one, forward or back.

    Returns how many were taken up.
    """
    taken = 0
    for deployment in abandoned(owner=owner, alone=alone, busy=busy):
        try:
            lifecycle.take_over(deployment, owner=owner)
            if deployment.roll is not None:
                roll(deployment)
            elif deployment.status == Status.SWITCHING and _traffic_may_have_moved(deployment):
                if resume_switch(deployment):
                    retire(deployment)
            else:
                with lease(deployment):
                    _begin_again(deployment)
            taken += 1
        except Overtaken as error:
            logger.warning("Recovery of deployment %s: %s", deployment.pk, error)
        except EngineError as error:
            logger.warning("Recovery of deployment %s: %s", deployment.pk, error)
            lifecycle.give_back(deployment)
        except Exception:
            # The next round tries it again; the other ones must not wait for it.
            logger.exception("Recovery of deployment %s failed inside Mist", deployment.pk)
            lifecycle.give_back(deployment)
    return taken


def _traffic_may_have_moved(deployment: Deployment) -> bool:
    return all(
        container is not None and container.status is ContainerStatus.RUNNING
        for container in containers_of(deployment)
    )


def _begin_again(deployment: Deployment) -> None:
    """Back into the queue, with what was live before running. It may take the grace time of that:
    whoever looks meanwhile sees that somebody is at it."""
    if deployment.status == Status.SWITCHING:
        # The route may lead to what is swept away now.
        take_back_routes(deployment.app)
    _sweep(deployment)
    had_gap = deployment.gap_began_at is not None
    if had_gap:
        stop_first.recover(deployment)
    lifecycle.queue_again(deployment)
    if had_gap:
        publish_routes(deployment.app)


def _sweep(deployment: Deployment) -> None:
    """What a half-made deployment leaves behind when its worker is killed."""
    engine = get_engine()
    for container in engine.containers.list(labels=planning.deployment_labels(deployment)):
        engine.containers.remove(container.id)
    if deployment.source_id is None:
        # It is built again, or never: a person may cancel it while it waits.
        engine.containers.remove_image(planning.image_name(deployment))
    builds = Path(settings.MIST_DATA_DIR) / "builds" / str(deployment.pk)
    shutil.rmtree(builds, ignore_errors=True)
