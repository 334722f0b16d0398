"""What a person takes away from a real engine comes back, and what is not Mist's stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import docker
import pytest

from apps.deployments import observation, reconciliation
from apps.deployments.models import Deployment, Status
from apps.deployments.planning import network_name
from apps.deployments.tasks import claim_next
from apps.projects.models import App
from apps.projects.services import variables_save
from tests.machine.world import World, wait_until

pytestmark = pytest.mark.docker


@pytest.fixture
def app(world: World) -> Iterator[App]:
    """Live, and watched as Mist itself watches: what drifts is set right at once."""
    app, _ = world.app("python-web", health_path="/healthz")
    variables_save(app=app, values={"MODE": "kept"}, changed_by=None)
    assert world.deploy(app).status == Status.LIVE
    stopping = threading.Event()
    thread = threading.Thread(
        target=observation.watch_engine, args=(stopping, reconciliation.apply_wishes)
    )
    thread.start()
    try:
        yield app
    finally:
        stopping.set()
        thread.join(10)


def answers(world: World, app: App) -> None:
    wait_until(lambda: world.get(app.host, "/healthz")[0] == 200, "the app answering")


@pytest.mark.parametrize("hurt", ["kill", "stop", "remove"])
def test_a_container_comes_back(
    world: World, app: App, docker_client: docker.DockerClient, hurt: str
) -> None:
    [found] = world.containers()
    container = docker_client.containers.get(found.id)
    before = container.attrs["State"]["StartedAt"]
    if hurt == "remove":
        container.remove(force=True)
    else:
        getattr(container, hurt)()

    def is_back() -> bool:
        states = [
            c.attrs["State"]
            for c in docker_client.containers.list(
                filters={"name": found.name}, ignore_removed=True
            )
        ]
        return [s["Status"] for s in states if s["StartedAt"] != before] == ["running"]

    wait_until(is_back, "the container running again")
    answers(world, app)
    assert world.get(app.host, "/env/MODE") == (200, "kept")
    [now] = world.containers()
    assert (now.id == found.id) == (hurt != "remove")
    # It runs, and answers, before that is written down.
    live = Deployment.objects.filter(status=Status.LIVE)
    wait_until(lambda: live.get().container_id == now.id, "the container being known")
    wait_until(lambda: App.objects.get(pk=app.pk).observed == "running", "the state being true")


def test_a_network_that_was_removed_is_made_again(
    world: World, app: App, docker_client: docker.DockerClient
) -> None:
    [found] = world.containers()
    network = docker_client.networks.get(network_name(app.project))
    network.disconnect(found.id, force=True)
    network.remove()
    reconciliation.reconcile(owner="me", alone=False)
    answers(world, app)
    assert world.networks() == [network_name(app.project)]
    assert len(world.containers()) == 1


def test_an_image_that_was_removed_is_built_again(
    world: World, app: App, docker_client: docker.DockerClient
) -> None:
    live = Deployment.objects.get(status=Status.LIVE)
    docker_client.images.remove(live.image, force=True)
    [found] = world.containers()
    docker_client.containers.get(found.id).remove(force=True)
    wait_until(
        lambda: Deployment.objects.filter(status=Status.QUEUED).exists(), "a repair being queued"
    )
    # The watcher writes that down after it has queued the repair.
    said = "Its image is gone, it is built again."
    wait_until(lambda: App.objects.get(pk=app.pk).observed_detail == said, "that being said")
    claimed = claim_next()
    assert claimed is not None and claimed.commit == live.commit
    world.run(claimed)
    answers(world, app)


def test_strangers_and_volumes_are_left_alone(
    world: World, app: App, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = docker_client.volumes.create(labels={"mist.instance": world.instance})
    stranger = docker_client.containers.create("busybox", "sleep 60")
    orphan = docker_client.containers.create(
        "busybox",
        "sleep 60",
        labels={"mist.instance": world.instance, "mist.app": "999", "mist.deployment": "999"},
        volumes={volume.name: {"bind": "/data"}},
    )
    try:
        monkeypatch.setattr(reconciliation, "GRACE", 0.0)
        reconciliation.reconcile(owner="me", alone=False)
        names = {c.id for c in docker_client.containers.list(all=True, sparse=True)}
        assert stranger.id in names and orphan.id not in names
        assert docker_client.volumes.get(volume.name)
    finally:
        stranger.remove(force=True)
        volume.remove(force=True)
    answers(world, app)
