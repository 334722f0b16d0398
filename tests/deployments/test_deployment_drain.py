"""Requests that are in progress while a new version takes the traffic."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_django import Settings

from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.projects.models import App
from tests.machine.world import World, wait_until

pytestmark = pytest.mark.docker
HOLD = """
import threading

held, released = threading.Event(), threading.Event()


@bottle.get("/hold")
def hold():
    held.set()
    released.wait(180)
    return f"held by {VERSION}"


@bottle.get("/held")
def is_held():
    return str(held.is_set())


@bottle.get("/release")
def release():
    released.set()
    return "released"


class Server("""


@pytest.fixture
def first(world: World) -> Deployment:
    """The live first version of an app that can hold a request for as long as it is told to."""
    app, origin = world.app("python-web", health_path="/healthz")
    source = (origin.path / "app.py").read_text()
    origin.commit({"app.py": source.replace("class Server(", HOLD)}, "Hold requests")
    live = world.deploy(app)
    assert live.status == Status.LIVE
    origin.commit({"VERSION": "2"}, "Second version")
    return live


def ask_directly(world: World, deployment: Deployment, path: str) -> str:
    """An answer of the container itself, whoever has the traffic."""
    container = world.engine.containers.inspect(deployment.container_id)
    assert container is not None
    [address] = container.addresses.values()
    with urllib.request.urlopen(f"http://{address}:{deployment.port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def release_after_the_switch(world: World, app: App, old: Deployment) -> None:
    wait_until(lambda: world.get(app.host)[1] == "python VERSION 2", "the switch", 180)
    ask_directly(world, old, "/release")


def test_the_old_version_may_finish_them(
    world: World, first: Deployment, settings: Settings
) -> None:
    settings.MIST_DRAIN_SECONDS = 60.0
    app = first.app
    with ThreadPoolExecutor() as others:
        slow = others.submit(world.get, app.host, "/hold")
        wait_until(lambda: ask_directly(world, first, "/held") == "True", "the slow request")
        release = others.submit(release_after_the_switch, world, app, first)
        assert world.deploy(app).status == Status.LIVE
        release.result()
        assert slow.result() == (200, "held by 1")
    assert len(world.containers()) == 1


def test_one_that_never_ends_holds_up_nothing_for_ever(
    world: World, first: Deployment, settings: Settings
) -> None:
    settings.MIST_DRAIN_SECONDS = 1.0
    app = first.app
    with ThreadPoolExecutor() as others:
        slow = others.submit(world.get, app.host, "/hold")
        wait_until(lambda: ask_directly(world, first, "/held") == "True", "the slow request")
        second = world.deploy(app)
        assert slow.result()[0] == 502
    assert [c.id for c in world.containers()] == [second.container_id]
    assert "#1 were still in progress" in "".join(plain_text(log_path(second.pk)))
