"""A pull meets every fault, on a real engine and a real registry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel
from apps.projects.models import App
from apps.projects.services import app_create
from apps.projects.source_models import SourceKind
from apps.system.management.soak_invariants import find_broken, find_leaks
from tests.faults.world import FaultWorld, fault_world, seconds_since
from tests.machine.registry import Registry, SlowFront, serve_registry, slow_front
from tests.machine.world import wait_until

pytestmark = pytest.mark.docker
CANCEL_SECONDS = 10.0
"""Two where nothing else runs. What is cancelled is held up and would not end by itself."""
STOP_SECONDS = 40.0
"""As the one before: less than ten."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serve_registry(tmp_path_factory.mktemp("registry") / "files") as made:
        yield made


@pytest.fixture(scope="module")
def faults(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[FaultWorld]:
    with django_db_blocker.unblock(), fault_world(tmp_path_factory.mktemp("faults")) as world:
        yield world


@pytest.fixture
def front(registry: Registry) -> Iterator[SlowFront]:
    with slow_front(registry) as made:
        yield made


@pytest.fixture
def pulling(
    faults: FaultWorld, registry: Registry, front: SlowFront
) -> Iterator[tuple[FaultWorld, Deployment]]:
    """A deployment whose image has begun to come, and does not go on coming."""
    # Of layers that are here nothing comes.
    tag = str(App.objects.count())
    registry.push(f"team/web:{tag}", f"version {tag}", extra=300_000)
    faults.prober.failures.clear()
    if faults.mist.pid is None:
        faults.up()
    app = app_create(
        project=faults.app.project,
        slug=f"ready-{tag}",
        repository="",
        created_by=None,
        source_kind=SourceKind.IMAGE,
        image_name=f"{front.address}/team/web:{tag}",
    )
    world = replace(faults, app=app)
    deployment = world.request()
    world.wait_for(deployment, Status.PULLING)
    wait_until(front.began.is_set, "the first byte of a layer")
    yield world, deployment


def finish(world: FaultWorld, deployment: Deployment, front: SlowFront, status: Status) -> None:
    world.settle(deployment, front.go.set)
    assert deployment.status == status, world.story(deployment)
    assert (find_broken(), find_leaks(), world.prober.failures) == ([], [], [])
    client = world.engine.client()
    try:
        tags = [tag for image in client.images.list() for tag in image.tags]
    finally:
        client.close()
    # By the name that Mist gave it alone.
    assert not [tag for tag in tags if tag.startswith(front.address)]
    assert [tag for tag in tags if tag.endswith(f":{deployment.pk}")] == (
        [deployment.image] if status == Status.LIVE else []
    )
    assert not list((Path(world.mist.data_dir) / "pulls").glob("*"))


def test_kill_9(pulling: tuple[FaultWorld, Deployment], front: SlowFront) -> None:
    world, deployment = pulling
    world.kill()
    wait_until(front.left.is_set, "the end of the engine's own download")
    world.up()
    finish(world, deployment, front, Status.LIVE)


def test_sigterm(pulling: tuple[FaultWorld, Deployment], front: SlowFront) -> None:
    world, deployment = pulling
    world.ask_to_end()
    began = time.monotonic()
    wait_until(lambda: world.mist.pid is None, "the end of Mist", STOP_SECONDS)
    assert seconds_since(began) < STOP_SECONDS
    deployment.refresh_from_db()
    assert deployment.status == Status.QUEUED and find_leaks() == []
    world.up()
    finish(world, deployment, front, Status.LIVE)


def test_cancel(pulling: tuple[FaultWorld, Deployment], front: SlowFront) -> None:
    world, deployment = pulling
    began = time.monotonic()
    assert deployment_cancel(deployment=deployment, by=None)
    world.wait_for(deployment, Status.CANCELLED)
    assert seconds_since(began) < CANCEL_SECONDS
    wait_until(front.left.is_set, "the end of the engine's own download")
    finish(world, deployment, front, Status.CANCELLED)


def test_engine_restart(pulling: tuple[FaultWorld, Deployment], front: SlowFront) -> None:
    world, deployment = pulling
    world.engine.stop()
    world.engine.start()
    finish(world, deployment, front, Status.LIVE)
