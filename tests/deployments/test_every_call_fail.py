"""A redeployment is met at each of its calls, one after the other, by each thing that may happen.

What `test_lifecycle_hold` makes up at random, here in full for the one job that matters most.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments.models import RUNNING, Deployment
from tests.deployments.land import NOON, Land
from tests.deployments.processes import Job

SOME = 12
"""Of how many calls the quick set tries one."""


def killed(land: Land, job: Job) -> None:
    land.die(0)
    land.finish_all(land.start(land.processes[0], "reconcile"))


def killed_with_its_container(land: Land, job: Job) -> None:
    land.die(0)
    land.known.disturbed = True
    running = {
        str(pk) for pk in Deployment.objects.filter(status__in=RUNNING).values_list("pk", flat=True)
    }
    for container in list(land.fake.containers.all.values()):
        if container.labels.get("mist.deployment") in running:
            land.known.excused |= {app.pk for app in land.apps()}
            land.fake.containers.kill(container.id)
    land.finish_all(land.start(land.processes[0], "reconcile"))


def killed_and_cancelled(land: Land, job: Job) -> None:
    killed(land, job)
    cancelled(land, job)


def cancelled(land: Land, job: Job) -> None:
    for row in Deployment.objects.filter(status__in=(*RUNNING, "queued")):
        land.cancel_it(row)


def failed(land: Land, job: Job, *, kind: int) -> None:
    land.break_call(job, kind)


def reconciled_long_after(land: Land, job: Job) -> None:
    """Meanwhile everything else goes on, after the grace time of what nobody knows."""
    land.wait(65)
    for name in ("reconcile", "wishes"):
        land.advance(land.start(land.processes[0], name), NOON)


MEETINGS: list[Callable[[Land, Job], None]] = [
    killed,
    killed_with_its_container,
    killed_and_cancelled,
    cancelled,
    partial(failed, kind=0),
    partial(failed, kind=1),
    reconciled_long_after,
]


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("place", range(len(MEETINGS)))
def test_a_redeployment_withstands_it_at_every_call(
    transactional_db: None,
    tmp_path: Path,
    settings: Settings,
    alice: User,
    quick_world: None,
    place: int,
    replicas: int,
) -> None:
    facts = {"folder": tmp_path, "settings": settings, "alice": alice}
    every = hypothesis_settings.get_current_profile_name() == "deep"
    at, over = 1 if every else place + 1, False
    while not over:
        over = _meet(type("Here", (Land,), facts)(), MEETINGS[place], at, replicas)
        at += 1 if every else SOME * len(MEETINGS) // 2


def _advance(land: Land, job: Job, calls: int) -> None:
    """So many calls of the job; what it waits for goes on with it, call by call."""
    for _ in range(calls):
        land.advance(job, 1)
        if job.is_over:
            return
        if job.waits:
            for other in [one for one in land.jobs() if one is not job]:
                land.advance(other, 1)


def _meet(land: Land, meeting: Callable[[Land, Job], None], at: int, replicas: int) -> bool:
    """Whether the job had ended before that call."""
    land.set_up()
    try:
        land.populate(split=False, lived=1, replicas=replicas)
        land.request(land.apps()[0], "main")
        job = land.start(land.processes[0], "run")
        _advance(land, job, at)
        met = job.at
        over = job.is_over
        if not over:
            meeting(land, job)
            land.finish_all()
    except AssertionError as error:
        land.broken = True
        error.add_note(f"{meeting} at call {at}")
        raise
    finally:
        land.end()
    assert over or met
    return over
