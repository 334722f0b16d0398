"""The kinds of health check, restart policies and how a container ends, on the fake engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import observation, reconciliation
from apps.deployments.condition import observe
from apps.deployments.models import Status
from apps.deployments.services import app_start, app_stop
from apps.domains.services import domain_add
from apps.engine.data import Container, ContainerStatus, ProbeResult
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_update
from tests.deployments.test_deployment_run import deploy, serving


@pytest.fixture
def worker(web: App) -> App:
    app_update(app=web, health_check="up", health_up_seconds=0, port=None)
    return web


def test_a_worker_has_no_port_no_route_and_no_address(
    fake: FakeEngine, worker: App, client: Client, alice: User
) -> None:
    done = deploy(worker)
    assert (done.status, done.port, done.milliseconds) == (Status.LIVE, None, None)
    assert fake.proxy.routes == {}
    spec = fake.containers.specs[done.container_id]
    assert not any(label.startswith("traefik") for label in spec.labels)
    assert not {"PORT", "MIST_URL"} & spec.env.keys()
    assert worker.url == ""
    client.force_login(alice)
    for path in ("", "domains/", "settings/", "stop/", "deployments/1/"):
        page = client.get(f"/projects/shop/apps/web/{path}").content.decode()
        assert 'href="http://web-shop.localhost' not in page, path
    assert "No address: a worker" in client.get("/projects/shop/apps/web/").content.decode()
    assert "Worker, no address" in client.get("/projects/shop/").content.decode()


def test_a_worker_in_place_of_a_web_app_takes_the_route_away(fake: FakeEngine, web: App) -> None:
    first = deploy(web)
    app_update(app=web, health_check="up", health_up_seconds=0)
    domain_add(app=web, host="shop.example.com", created_by=None)
    reconciliation.apply_wishes()
    # Set is not live: until the deployment visitors still reach what runs.
    assert serving(fake, web) == f"{first.service}@docker"
    second = deploy(web)
    assert (second.status, fake.proxy.routes) == (Status.LIVE, {})
    assert list(fake.containers.all) == [second.container_id]
    reconciliation.restore_routes()
    assert fake.proxy.routes == {}


def test_a_worker_that_ends_fails_and_the_old_one_runs_on(fake: FakeEngine, worker: App) -> None:
    first = deploy(worker)
    app_update(app=worker, health_up_seconds=60)

    def crash() -> None:
        fake.containers.kill(list(fake.containers.all)[-1], exit_code=3)

    fake.containers.fail("inspect", crash)
    failed = deploy(worker)
    assert failed.failure == "The app ended with exit code 3 instead of staying up."
    assert list(fake.containers.all) == [first.container_id]


def test_a_worker_that_its_engine_started_again_still_tells_its_exit_code(
    fake: FakeEngine, worker: App
) -> None:
    app_update(app=worker, health_up_seconds=60)

    def restart() -> None:
        fallen = list(fake.containers.all)[-1]
        fake.containers.all[fallen] = replace(fake.containers.all[fallen], restarts=1)

    def crash() -> None:
        fake.containers.kill(list(fake.containers.all)[-1], exit_code=3)

    fake.containers.fail("inspect", restart, times=2)
    fake.containers.fail("inspect", crash)
    failed = deploy(worker)
    assert failed.failure == "The app ended with exit code 3 instead of staying up."


def test_a_job_may_end_well_where_its_policy_leaves_it_there(fake: FakeEngine, worker: App) -> None:
    app_update(app=worker, health_up_seconds=60, restart_policy="no")

    def end() -> None:
        fake.containers.kill(list(fake.containers.all)[-1], exit_code=0)

    fake.containers.fail("inspect", end)
    done = deploy(worker)
    assert done.status == Status.LIVE
    worker.refresh_from_db()
    assert (worker.observed, worker.wanted) == ("ended", "running")
    observation.observe_all()
    reconciliation.apply_wishes()
    domain_add(app=worker, host="shop.example.com", created_by=None)
    reconciliation.apply_wishes()
    worker.refresh_from_db()
    assert (worker.observed, worker.observed_detail) == ("ended", "exit 0")
    assert fake.containers.all[done.container_id].status is ContainerStatus.EXITED

    app_stop(app=worker)
    reconciliation.apply_wishes()
    app_start(app=worker)
    reconciliation.apply_wishes()
    assert fake.containers.all[done.container_id].status is ContainerStatus.RUNNING


def test_a_connection_is_enough_for_tcp(fake: FakeEngine, web: App) -> None:
    app_update(app=web, health_check="tcp")
    fake.proxy.refusals = ["nothing listens on the port yet (connection refused)"]
    done = deploy(web)
    assert done.status == Status.LIVE and done.milliseconds is not None
    [address] = fake.containers.all[done.container_id].addresses.values()
    assert fake.proxy.calls.count(("connect", f"{address}:8000")) == 2
    assert serving(fake, web) == f"{done.service}@docker"


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        ("nothing listens on the port yet", "The app did not listen on port 8000"),
        ("no connection within 5 s", "Port 8000 accepted no connection in 2 tries"),
    ],
)
def test_refused_connections_end_the_deployment(
    fake: FakeEngine, web: App, settings: Settings, refusal: str, sentence: str
) -> None:
    settings.MIST_HEALTH_TIMEOUT = 0.0
    app_update(app=web, health_check="tcp", health_attempts=2)
    fake.proxy.refusals = [refusal] * 2
    assert deploy(web).failure.startswith(sentence)


@pytest.mark.parametrize(("expected", "passes"), [("200,301", True), ("200", False)])
def test_only_expected_statuses_pass(
    fake: FakeEngine, web: App, settings: Settings, expected: str, passes: bool
) -> None:
    settings.MIST_HEALTH_TIMEOUT = 0.0
    app_update(app=web, health_status=expected, health_attempts=1)
    fake.proxy.answers = [ProbeResult(301, 1.0)]
    done = deploy(web)
    assert (done.status == Status.LIVE) is passes
    assert passes or "failed 1 times: HTTP 301" in done.failure


def test_bad_tries_count_only_after_the_start_time(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    settings.MIST_HEALTH_TIMEOUT = 30.0
    app_update(app=web, health_attempts=1)
    fake.proxy.answers = [ProbeResult(500, 1.0, "HTTP 500")] * 2
    assert deploy(web).status == Status.LIVE


def test_how_it_runs_and_ends_is_given_to_the_container(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    settings.MIST_STOP_TIMEOUT = 7
    first = fake.containers.specs[deploy(web).container_id]
    assert (first.restart, first.stop_signal, first.stop_timeout) == ("unless-stopped", "", 7)
    app_update(app=web, restart_policy="on-failure", stop_signal="SIGQUIT", stop_seconds=90)
    second = fake.containers.specs[deploy(web).container_id]
    assert (second.restart, second.stop_signal, second.stop_timeout) == (
        "on-failure",
        "SIGQUIT",
        90,
    )


def exited(restart: str, code: int) -> Container:
    status = ContainerStatus.EXITED
    return Container("c", "c", status, labels={}, exit_code=code, restart=restart)


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        (exited("no", 0), ("ended", "exit 0")),
        (exited("on-failure", 0), ("ended", "exit 0")),
        (exited("no", 3), ("crashed", "exit 3")),
        (exited("on-failure", 3), ("crashed", "exit 3")),
        (exited("unless-stopped", 0), ("crashed", "exit 0")),
        (replace(exited("no", 0), status=ContainerStatus.RUNNING), ("running", "")),
    ],
)
def test_an_end_is_a_crash_only_where_it_should_not_be(
    found: Container, seen: tuple[str, str]
) -> None:
    assert observe(App(wanted="running"), found, [], now=0.0) == seen
