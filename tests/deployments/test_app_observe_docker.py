"""What Mist says of an app whose real container dies, is killed, starves or is taken away."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator

import docker
import pytest

from apps.deployments import observation
from apps.deployments.models import Status
from apps.engine.connect import get_engine
from apps.projects.models import App
from tests.machine.world import World, wait_until

pytestmark = pytest.mark.docker


@pytest.fixture
def app(world: World) -> Iterator[App]:
    """Live, and watched."""
    app, _ = world.app("python-web", health_path="/healthz", memory_mb=64)
    assert world.deploy(app).status == Status.LIVE
    stopping = threading.Event()
    thread = threading.Thread(target=observation.watch_engine, args=(stopping, list))
    thread.start()
    observation.observe_app(app)
    try:
        yield app
    finally:
        stopping.set()
        thread.join(10)


def seen(app: App) -> tuple[str, str]:
    found = App.objects.get(pk=app.pk)
    return found.observed, found.observed_detail


def ask(world: World, app: App, path: str) -> None:
    """Ask for something that the app does not live to answer."""
    wait_until(lambda: world.get(app.host, "/healthz")[0] == 200, "an answer")
    with contextlib.suppress(OSError, http.client.HTTPException):
        world.get(app.host, path)


def test_one_that_keeps_dying_is_restarting(world: World, app: App) -> None:
    for _ in range(3):
        ask(world, app, "/exit/3")
    wait_until(lambda: seen(app) == ("restarting", "3 times in 2 min, exit 3"), "being noticed")


def test_one_that_starves_says_so(world: World, app: App) -> None:
    for _ in range(2):
        ask(world, app, "/eat")
    wait_until(lambda: seen(app)[1].endswith("exit 137, out of memory"), "being noticed")
    assert seen(app)[0] == "restarting"


def test_one_that_is_killed_removed_or_paused_by_hand(
    world: World, app: App, docker_client: docker.DockerClient
) -> None:
    [found] = world.containers()
    container = docker_client.containers.get(found.id)
    container.pause()
    wait_until(lambda: seen(app) == ("unhealthy", "paused by hand"), "the pause being noticed")
    container.unpause()
    wait_until(lambda: seen(app) == ("running", ""), "running again")
    container.kill()
    wait_until(lambda: seen(app) == ("crashed", "exit 137"), "the kill being noticed")
    container.start()
    wait_until(lambda: seen(app) == ("running", ""), "running again")
    container.remove(force=True)
    wait_until(lambda: seen(app) == ("crashed", "container is gone"), "being noticed")
    assert get_engine().containers.inspect(found.id) is None
