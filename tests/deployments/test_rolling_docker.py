"""Containers that are replaced one by one, with a real engine and a real Traefik."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from apps.deployments import pipeline
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel, deployment_request
from apps.deployments.tasks import claim_next
from apps.domains.planning import router_name
from apps.engine.data import ContainerStatus
from apps.projects.models import App
from apps.projects.services import app_update
from tests.machine.beside import beside
from tests.machine.world import World, steady_visitors, wait_until

pytestmark = pytest.mark.docker
HEALTH = """    return "ok"
"""
WELL = """    if not os.path.exists("/tmp/well"):
        bottle.abort(503, "not well")
    return "ok"
"""


@dataclass
class Count:
    """How many containers of the world run, at the most and at the least."""

    most: int = 0
    fewest: int = 99
    versions: set[int] = field(default_factory=set)
    """How many deployments had one that ran at the same moment."""


@contextmanager
def counted(world: World) -> Iterator[Count]:
    count = Count()

    def look(over: threading.Event) -> None:
        while not over.wait(0.05):
            up = [c for c in world.containers() if c.status is ContainerStatus.RUNNING]
            count.most = max(count.most, len(up))
            count.fewest = min(count.fewest, len(up))
            count.versions.add(len({c.labels["mist.deployment"] for c in up}))

    with beside(look):
        yield count


class Nurse:
    """Makes containers well as they come, but those that it is told to leave."""

    def __init__(self, world: World, client: docker.DockerClient) -> None:
        self.world, self.client = world, client
        self.leaves = ""

    def look(self) -> None:
        for container in self.world.containers():
            if container.name != self.leaves and container.status is ContainerStatus.RUNNING:
                with suppress(NotFound, FileNotFoundError, ProcessLookupError):
                    pid = self.client.api.inspect_container(container.id)["State"]["Pid"]
                    if pid:
                        Path(f"/proc/{pid}/root/tmp/well").touch()


@pytest.fixture
def nurse(world: World, docker_client: docker.DockerClient) -> Iterator[Nurse]:
    made, over = Nurse(world, docker_client), threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            made.look()

    thread = threading.Thread(target=work)
    thread.start()
    yield made
    over.set()
    thread.join()


@pytest.fixture
def three(world: World, nurse: Nurse) -> tuple[App, Deployment]:
    """An app of three containers and its first version, live."""
    app, origin = world.app("python-web", health_path="/healthz", replicas=3, memory_mb=64)
    source = (origin.path / "app.py").read_text()
    origin.commit({"app.py": source.replace(HEALTH, WELL)}, "Be well only when told so")
    first = world.deploy(app)
    assert (first.status, first.failure) == (Status.LIVE, "")
    return app, first


def said(deployment: Deployment) -> str:
    return "".join(plain_text(log_path(deployment.pk)))


def is_cancelled(deployment: Deployment) -> bool:
    return Deployment.objects.get(pk=deployment.pk).status == Status.CANCELLED


def is_whole(world: World, live: Deployment) -> None:
    row = Deployment.objects.get(pk=live.pk)
    assert row.status == Status.LIVE and row.owner == ""
    found = world.containers()
    assert {c.id for c in found} == set(row.container_ids)
    assert {c.status for c in found} == {ContainerStatus.RUNNING}
    file = world.engine.proxy.read_routes(str(row.app_id)) or {}
    router = file["http"]["routers"][router_name(row.app)]
    assert router["service"] == f"{row.service}@docker"
    assert instances(world, row.app) == {one[:12] for one in row.container_ids}


def instances(world: World, app: App) -> set[str]:
    """The containers that answer visitors: asked so often that each is met, though others ask too
    and it is their turn in between."""
    return {world.get(app.host, "/env/HOSTNAME")[1] for _ in range(60)}


def test_no_request_is_lost_and_one_more_container_runs(
    world: World, three: tuple[App, Deployment]
) -> None:
    app, live = three
    with steady_visitors(world, app.host) as seen, counted(world) as count:
        for _ in range(4):
            live = world.deploy(app)
            assert (live.status, live.failure) == (Status.LIVE, ""), said(live)
    assert seen.failures == [] and seen.answers
    assert (count.fewest, count.most) == (3, 4) and count.versions == {1, 2}
    assert [f"{n} of 3 replaced" in said(live) for n in (1, 2, 3)] == [True] * 3
    is_whole(world, live)


@pytest.mark.parametrize("number", [2, 3])
def test_an_unhealthy_container_brings_all_old_ones_back(
    world: World, three: tuple[App, Deployment], nurse: Nurse, number: int
) -> None:
    app, first = three
    app_update(app=app, health_start_seconds=8, health_attempts=1)
    with steady_visitors(world, app.host) as seen, counted(world) as count:
        deployment_request(app=app, requested_by=None)
        claimed = claim_next()
        assert claimed is not None
        nurse.leaves = claimed.name_of(number)
        failed = world.run(claimed)
    assert failed.status == Status.FAILED and "health check" in failed.failure, said(failed)
    assert f"{number - 1} of 3 replaced" in said(failed)
    assert f"{number} of 3 replaced" not in said(failed)
    assert seen.failures == [] and seen.answers
    assert (count.fewest, count.most) == (3, 4)
    is_whole(world, Deployment.objects.get(pk=first.pk))


def test_cancelling_midway_costs_no_request(
    world: World, three: tuple[App, Deployment], nurse: Nurse
) -> None:
    app, first = three
    app_update(app=app, health_start_seconds=180)
    with steady_visitors(world, app.host) as seen, counted(world) as count:
        deployment_request(app=app, requested_by=None)
        claimed = claim_next()
        assert claimed is not None
        nurse.leaves = claimed.name_of(2)
        work = threading.Thread(target=pipeline.run, args=(claimed,))
        work.start()
        wait_until(lambda: "HTTP 503" in said(claimed).partition("1 of 3")[2], "midway", 180)
        assert deployment_cancel(deployment=claimed, by=None)
        wait_until(lambda: is_cancelled(claimed), "the end")
        work.join()
    assert seen.failures == [] and (count.fewest, count.most) == (3, 4)
    is_whole(world, Deployment.objects.get(pk=first.pk))


def test_traefik_that_is_restarted_midway_leads_to_the_same(
    world: World, three: tuple[App, Deployment], nurse: Nurse
) -> None:
    app, _ = three
    deployment_request(app=app, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    nurse.leaves = claimed.name_of(2)
    work = threading.Thread(target=pipeline.run, args=(claimed,))
    work.start()
    wait_until(lambda: "HTTP 503" in said(claimed).partition("1 of 3")[2], "midway", 180)
    before = instances(world, app)
    world.engine.proxy.stop()
    world.engine.proxy.ensure_running()
    wait_until(lambda: world.get(app.host)[0] == 200, "an answer")
    with steady_visitors(world, app.host) as seen:
        assert instances(world, app) == before and len(before) == 3
        nurse.leaves = ""
        work.join()
    assert seen.failures == []
    is_whole(world, claimed)
