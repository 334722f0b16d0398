"""What follows a deployment that has gone live, or has ended between old and new containers: what
leaves finishes what it has and goes. Nobody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.db.utils import Error as DatabaseError

from apps.deployments import going_back, lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.endings import AWAY_SECONDS
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import AT_HOME, Deployment, Status
from apps.deployments.release import after_going_live
from apps.deployments.retention import prune_images
from apps.deployments.traffic import drain
from apps.deployments.work import (
    Interrupted,
    Rest,
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

logger = logging.getLogger("mist.deployments")


def follow(rest: Rest) -> None:
    """What is left once a deployment has gone live, or has ended between old and new containers.
    May be repeated. Never raises for the outside."""
    if rest.deployment.status == Status.LIVE:
        retire(rest.deployment)
    elif give_place_back(rest):
        take_away(rest.deployment)


def give_place_back(rest: Rest) -> bool:
    """Let what was live before have the visitors, and the place, of a deployment that ended while
    both shared them. Whether `take_away` may follow; where not, whoever recovers abandoned work
    repeats this: Mist stops, the engine is away or the database fails."""
    deployment = rest.deployment
    resumed, ending = rest.is_resumed, rest.ending
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo, _or_later(deployment):
        work = Work(deployment, get_engine(), log, undo, is_resumed=resumed, ending=ending)
        if deployment.is_going_back:
            going_back.go_back(work)
    return deployment.is_leaving


def take_away(deployment: Deployment) -> None:
    """Let the containers of one that has given its place back finish what they have, and take away
    all that it is made of. Repeated as `give_place_back` until it is done."""
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo, _or_later(deployment):
        going_back.take_away(Work(deployment, get_engine(), log, undo))
        lifecycle.is_over(deployment)


@contextmanager
def _or_later(deployment: Deployment) -> Iterator[None]:
    """What goes wrong meanwhile does so for now: somebody will take it up again."""
    try:
        yield
    except (DatabaseError, Overtaken) as error:
        logger.warning("After deployment %s: %s", deployment.pk, error)
    except Exception as error:
        expected = isinstance(error, (Interrupted, EngineError))
        logger.warning("After deployment %s: %r", deployment.pk, error, exc_info=not expected)
        with suppress(DatabaseError):
            lifecycle.give_back(deployment)


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
        # The next deployment of the app may have begun meanwhile: its container is not old. Those
        # of one that went back are taken away by whoever took it there.
        if row is not None and Deployment.objects.filter(AT_HOME, pk=row.pk).exists():
            continue
        if row is not None:
            drain(work, row, old)
        containers.stop(old.id, timeout=settings.MIST_STOP_TIMEOUT)
        if facts is not None:
            keep_output(facts[1], old.id, planning.replica_of(old.labels))
        containers.remove(old.id)
        if row is not None:
            work.say(f"Deployment #{row.number} is replaced and its container removed")
