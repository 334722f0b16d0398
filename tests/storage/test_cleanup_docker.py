"""A clean-up of the real engine: what nothing needs is gone, what somebody needs is there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from django.core.management import call_command
from docker.errors import ImageNotFound
from pytest_django import Settings

from apps.deployments.models import Deployment, Status
from apps.projects.services import project_create
from apps.storage.inventory import plan_now, take_inventory
from apps.storage.models import CleanUp
from tests.deployments.conftest import world as world
from tests.machine.world import World

pytestmark = pytest.mark.docker
MB = 1_000_000


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


def exists(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def build(client: docker.DockerClient, text: str, **settings: Any) -> str:
    """With the engine's classic builder, which leaves nothing in the build cache."""
    found, _ = client.images.build(fileobj=io.BytesIO(text.encode()), rm=True, **settings)
    return str(found.id)


def run() -> CleanUp:
    call_command("cleanup", stdout=io.StringIO())
    return CleanUp.objects.latest("id")


def test_it_removes_what_nothing_needs_and_nothing_else(
    world: World, client: docker.DockerClient, settings: Settings, data_dir: Path
) -> None:
    settings.MIST_KEEP_IMAGES, settings.MIST_BUILD_CACHE_MB = 1, 1_000_000
    app, origin = world.app("static", health_path="/healthz")
    done = []
    for version in ("2", "3", "4"):
        settings.MIST_KEEP_IMAGES = 5
        done.append(world.deploy(app))
        origin.commit({"VERSION": version}, f"Version {version}")
    assert [d.status for d in done] == [Status.LIVE] * 3
    # A killed build's image, an untagged one, one that is being built, one of others on ours.
    ours = {"mist.instance": world.instance, "mist.name": str(app)}
    name = f"mist/{app.label}-{world.instance}"
    text = f"FROM {done[0].image}\nLABEL a="
    build(client, f"{text}1", tag=f"{name}:999999", labels={**ours, "mist.deployment": "999999"})
    dangling = build(client, f"{text}2", labels={**ours, "mist.deployment": str(done[2].pk)})
    waiting = Deployment.objects.create(app=app, number=99, ref="main")
    build(
        client, f"{text}3",
        tag=f"{name}:{waiting.pk}", labels={**ours, "mist.deployment": str(waiting.pk)},
    )  # fmt: skip
    theirs = f"theirs-{world.instance}"
    build(client, f"{text}4", tag=f"{theirs}:1")
    foreign = build(client, "FROM busybox\nLABEL b=5")
    volume = client.volumes.create(f"volume-{world.instance}", labels=ours)
    gone = project_create(slug="gone", created_by=None)
    network = f"mist-{world.instance}-{gone.pk}"
    world.engine.containers.ensure_network(network, labels={"mist.instance": world.instance})
    gone.delete()
    (data_dir / "builds" / "999999").mkdir(parents=True)
    settings.MIST_KEEP_IMAGES = 1
    try:
        plan = plan_now(take_inventory())
        row = run()
        assert (row.status, row.problem) == (CleanUp.Status.DONE, "")
        assert row.removed == {"image": 3, "network": 1, "checkout": 1}
        assert {one.name for one in plan.removals} >= {done[0].image, f"{name}:999999", dangling}
        assert not exists(client, done[0].image) and not exists(client, dangling)
        assert not exists(client, f"{name}:999999")
        for kept in (done[1].image, done[2].image, f"{name}:{waiting.pk}", f"{theirs}:1", foreign):
            assert exists(client, kept), kept
        assert client.volumes.get(volume.name)
        assert network not in world.networks() and len(world.networks()) == 1
        assert not (data_dir / "builds" / "999999").exists()
        assert world.get(app.host)[0] == 200
        Deployment.objects.filter(pk=waiting.pk).delete()
        back = world.roll_back(done[1])
        assert back.status == Status.LIVE
    finally:
        volume.remove()
        client.images.remove(f"{theirs}:1")
        client.images.remove(foreign)


def test_it_tells_what_was_really_freed_and_holds_the_cache_to_its_budget(
    world: World, client: docker.DockerClient, settings: Settings, data_dir: Path
) -> None:
    settings.MIST_BUILD_CACHE_MB = 1_000_000
    app, origin = world.app("static", health_path="/healthz")
    dockerfile = origin.path / "Dockerfile"
    ballast = "RUN head -c 30000000 /dev/urandom > /tmp/ballast\n"
    origin.commit({"Dockerfile": _with_step(dockerfile.read_text(), ballast)}, "Carry ballast")
    done = world.deploy(app)
    assert done.status == Status.LIVE
    for container in world.containers():
        world.engine.containers.remove(container.id)
    Deployment.objects.filter(pk=done.pk).delete()
    before = world.engine.containers.disk()
    image = next(one for one in before.images if done.image in one.names)
    assert image.size > 30 * MB
    # The build cache has the same layers: they only change hands.
    first = run()
    between = world.engine.containers.disk()
    assert not exists(client, done.image) and first.freed < 30 * MB
    assert between.cache - before.cache >= 30 * MB
    # Others use this engine's cache too: only so much of it goes as came from here.
    settings.MIST_BUILD_CACHE_MB = (between.cache - 20 * MB) // 1024**2
    second = run()
    after = world.engine.containers.disk()
    assert second.freed >= 19 * MB
    assert after.cache <= settings.MIST_BUILD_CACHE_MB * 1024**2


def _with_step(text: str, step: str) -> str:
    """The Dockerfile with a step after its last FROM."""
    lines = text.splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if line.startswith("FROM"))
    return "".join([*lines[: last + 1], step, *lines[last + 1 :]])
