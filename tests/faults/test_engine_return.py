"""An engine without live-restore: its containers end with it and come back with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from apps.deployments.models import Status
from apps.system.management.soak_invariants import find_broken, find_leaks
from tests.faults.stages import Checking
from tests.faults.world import FaultWorld, fault_world

pytestmark = pytest.mark.docker
BACK_SECONDS = 60


@pytest.fixture(scope="module")
def faults(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[FaultWorld]:
    folder = tmp_path_factory.mktemp("return")
    with django_db_blocker.unblock(), fault_world(folder, live_restore=False) as world:
        yield world


def test_the_app_is_back_by_itself_and_the_deployment_goes_on(faults: FaultWorld) -> None:
    held = Checking(faults)
    faults.engine.stop()
    assert faults.prober.ask(2)
    faults.engine.start(live_restore=False)
    assert faults.prober.wait(BACK_SECONDS)
    faults.settle(held.deployment, held.release)
    assert held.deployment.status == Status.LIVE, faults.story(held.deployment)
    assert find_broken() == [] and find_leaks() == []
    faults.prober.failures.clear()
