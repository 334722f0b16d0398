"""Deployments with the real engine, the real Traefik and real Git over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from apps.deployments import reconciliation
from apps.deployments.models import Status
from apps.deployments.services import app_delete, app_restart, app_start, app_stop
from apps.domains.services import domain_add
from apps.engine.data import ContainerStatus
from apps.projects.models import App
from apps.projects.services import variables_save
from tests.machine.world import World, steady_visitors, wait_until

pytestmark = pytest.mark.docker


@pytest.mark.parametrize(
    ("sample", "settings_of_app", "answer"),
    [
        ("static", {"health_path": "/healthz"}, "VERSION 1"),
        ("python-web", {"health_path": "/healthz"}, "python VERSION 1"),
        ("node-web", {"health_path": "/healthz"}, "node VERSION 1"),
        ("subdirectory", {"root_directory": "services/web"}, "subdirectory VERSION 1"),
        ("multistage", {}, "multistage VERSION 1"),
    ],
)
def test_it_brings_a_repository_live(
    world: World, sample: str, settings_of_app: dict[str, str], answer: str
) -> None:
    app, _ = world.app(sample, **settings_of_app)
    done = world.deploy(app)
    assert (done.status, done.failure) == (Status.LIVE, "")
    status, body = world.get(app.host)
    assert status == 200 and answer in body


def test_no_request_is_dropped_while_new_versions_go_live(world: World) -> None:
    app, origin = world.app("python-web", health_path="/healthz")
    assert world.deploy(app).status == Status.LIVE
    with steady_visitors(world, app.host) as seen:
        for version in ("2", "3"):
            origin.commit({"VERSION": version}, f"Version {version}")
            assert world.deploy(app).status == Status.LIVE
        wait_until(
            lambda: seen.answers[-1][1] == "python VERSION 3", "an answer of the third version"
        )
    assert seen.failures == []
    assert seen.bodies() == [f"python VERSION {n}" for n in (1, 2, 3)]
    assert len(world.containers()) == 1


def test_a_rollback_drops_no_request_and_builds_nothing(world: World) -> None:
    app, origin = world.app("python-web", health_path="/healthz")
    variables_save(app=app, values={"MODE": "then"}, changed_by=None)
    first = world.deploy(app)
    variables_save(app=app, values={"MODE": "now"}, changed_by=None)
    origin.commit({"VERSION": "2"}, "Version 2")
    second = world.deploy(app)
    assert (first.status, second.status) == (Status.LIVE, Status.LIVE)
    with steady_visitors(world, app.host) as seen:
        back = world.roll_back(first, old_variables=True)
        wait_until(lambda: seen.answers[-1][1] == "python VERSION 1", "an answer of the first")
    assert back.status == Status.LIVE and seen.failures == []
    assert seen.bodies() == ["python VERSION 2", "python VERSION 1"]
    assert world.get(app.host, "/env/MODE") == (200, "then")
    assert world.images() == sorted({first.image, second.image})
    assert [c.id for c in world.containers()] == [back.container_id]


def test_the_old_version_serves_on_when_the_new_one_is_unhealthy(
    world: World, settings: Settings
) -> None:
    settings.MIST_HEALTH_TIMEOUT = 10.0
    app, origin = world.app("python-web", health_path="/healthz")
    first = world.deploy(app)
    with steady_visitors(world, app.host) as seen:
        broken = (origin.path / "app.py").read_text().replace('"/healthz"', '"/elsewhere"')
        origin.commit({"app.py": broken, "VERSION": "2"}, "Break the health check")
        failed = world.deploy(app)
    assert failed.status == Status.FAILED
    assert failed.failure.startswith("The health check GET /healthz failed")
    assert "HTTP 404" in failed.failure and "listens" in failed.failure_detail
    assert seen.failures == [] and seen.bodies() == ["python VERSION 1"]
    assert [c.id for c in world.containers()] == [first.container_id]
    assert world.images() == [first.image]


@pytest.mark.parametrize(
    ("sample", "stage", "sentence", "detail"),
    [
        ("fails-build", Status.BUILDING, "Build step 3/3 failed", "the compiler says no"),
        ("no-dockerfile", Status.BUILDING, "Dockerfile", ""),
        ("fails-start", Status.CHECKING, "start command does not exist", "/no/such/program"),
        ("crashes", Status.CHECKING, "ended with exit code 3", "DATABASE_URL is missing"),
        ("wrong-port", Status.CHECKING, "did not listen on port 8000", "listening on 9999"),
        ("unhealthy", Status.CHECKING, "HTTP 500", "listening, but unwell"),
    ],
)
def test_a_failure_is_told_and_leaves_nothing(
    world: World,
    settings: Settings,
    data_dir: Path,
    sample: str,
    stage: Status,
    sentence: str,
    detail: str,
) -> None:
    # In this time it has to say what it says.
    settings.MIST_HEALTH_TIMEOUT = 8.0
    app, _ = world.app(sample)
    failed = world.deploy(app)
    assert (failed.status, failed.failed_stage) == (Status.FAILED, stage)
    assert sentence in failed.failure and detail in failed.failure_detail
    assert failed.failure_hint
    assert (world.containers(), world.images()) == ([], [])
    assert not list((data_dir / "builds").glob("*"))
    assert world.get(app.host)[0] == 404


def test_a_wrong_branch_is_answered_with_those_that_exist(world: World) -> None:
    app, origin = world.app("static", branch="mian")
    origin.git("branch", "staging")
    failed = world.deploy(app)
    assert failed.failed_stage == Status.CLONING
    assert all(name in failed.failure for name in ("mian", "main", "staging"))


def test_variables_arrive_byte_for_byte(world: World) -> None:
    app, _ = world.app("python-web", health_path="/healthz")
    value = "a=b $HOME 'x' \"y\" ü\nsecond line\\n"
    variables_save(app=app, values={"TRICKY": value}, changed_by=None)
    assert world.deploy(app).status == Status.LIVE
    assert world.get(app.host, "/env/TRICKY") == (200, value)


def test_a_running_app_is_stopped_started_restarted_renamed_and_deleted(
    world: World, data_dir: Path
) -> None:
    app, _ = world.app("static")
    live = world.deploy(app)

    def status() -> ContainerStatus:
        container = world.engine.containers.inspect(live.container_id)
        assert container is not None
        return container.status

    app_stop(app=app)
    reconciliation.apply_wishes()
    assert status() is ContainerStatus.EXITED
    app_start(app=app)
    reconciliation.apply_wishes()
    app_restart(app=app)
    reconciliation.apply_wishes()
    wait_until(lambda: world.get(app.host)[0] == 200, "an answer after the restart")

    started = world.engine.containers.inspect(live.container_id)
    domain_add(app=app, host="shop.example.com", created_by=None)
    reconciliation.apply_wishes()
    wait_until(lambda: world.get("shop.example.com")[0] == 200, "an answer on the new name")
    assert world.engine.containers.inspect(live.container_id) == started

    app_delete(app=app)
    reconciliation.apply_wishes()
    assert not App.objects.exists()
    assert (world.containers(), world.images(), world.networks()) == ([], [], [])
    assert world.get("shop.example.com")[0] == 404
    assert not list((data_dir / "repos").glob("*")) and not list((data_dir / "logs").glob("*"))
    assert not list((data_dir / "traefik" / "dynamic").glob("app-*"))


def test_apps_of_other_projects_cannot_be_reached(world: World) -> None:
    app, _ = world.app("static")
    live = world.deploy(app)
    container = world.engine.containers.inspect(live.container_id)
    assert container is not None
    assert list(container.addresses) == world.networks()


def test_several_containers_share_the_visitors_and_none_is_missed(world: World) -> None:
    app, origin = world.app("python-web", health_path="/healthz", replicas=3, memory_mb=64)
    first = world.deploy(app)
    assert (first.status, first.failure) == (Status.LIVE, "")
    assert {c.id for c in world.containers()} == set(first.container_ids)
    with steady_visitors(world, app.host) as seen:
        # One dies for good: the others take its requests, then it is back.
        world.engine.containers.remove(first.container_ids[2])
        reconciliation.reconcile(owner="me", alone=False)
        wait_until(lambda: len(world.containers()) == 3, "all three running")
        origin.commit({"VERSION": "2"}, "Version 2")
        second = world.deploy(app)
        wait_until(lambda: seen.answers[-1][1] == "python VERSION 2", "an answer of the second")
    assert second.status == Status.LIVE
    # What the removed container was at work on is lost, and nothing else: there are 5 visitors.
    assert len(seen.failures) <= 5, seen.failures
    assert seen.bodies() == [f"python VERSION {n}" for n in (1, 2)]
    assert {c.id for c in world.containers()} == set(second.container_ids)
    instances = {world.get(app.host, "/env/HOSTNAME")[1] for _ in range(9)}
    assert instances == {one[:12] for one in second.container_ids}
