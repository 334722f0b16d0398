"""What Mist says of an app, from what the engine tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments import observation, reconciliation
from apps.deployments.condition import Death, observe
from apps.deployments.models import Deployment
from apps.deployments.services import app_restart
from apps.engine.data import Container, ContainerEvent, ContainerStatus
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy
from tests.machine.world import wait_until

NOW = 1_800_000_000.0
S = ContainerStatus


def container(status: ContainerStatus, **facts: object) -> Container:
    return Container(id="c", name="c", status=status, labels={}, **facts)  # type: ignore[arg-type]


def died(*seconds_ago: float, exit_code: int = 1, oom: bool = False) -> list[Death]:
    return [Death(1, NOW - ago, exit_code, oom) for ago in sorted(seconds_ago, reverse=True)]


@pytest.mark.parametrize(
    ("found", "deaths", "seen"),
    [
        (container(S.RUNNING), [], ("running", "")),
        (container(S.RUNNING), died(5), ("running", "")),
        (container(S.RUNNING), died(50, 20, 5), ("restarting", "3 times in 2 min, exit 1")),
        (container(S.RUNNING), died(100, 60, 40), ("running", "")),
        (container(S.RUNNING), died(500, 400, 5), ("running", "")),
        (container(S.RESTARTING), died(1), ("restarting", "once in 2 min, exit 1")),
        (container(S.RESTARTING, restarts=7), [], ("restarting", "7 times so far")),
        (
            container(S.RESTARTING),
            died(30, 20, 10, 5, 1, exit_code=137, oom=True),
            ("restarting", "5 times in 2 min, exit 137, out of memory"),
        ),
        (container(S.EXITED, exit_code=3), [], ("crashed", "exit 3")),
        (
            container(S.EXITED, exit_code=137, out_of_memory=True),
            [],
            ("crashed", "exit 137, out of memory"),
        ),
        (container(S.PAUSED), [], ("unhealthy", "paused by hand")),
        (
            container(S.RUNNING, health="unhealthy"),
            [],
            ("unhealthy", "its own health check fails"),
        ),
        (container(S.RUNNING, health="starting"), [], ("running", "")),
        (None, [], ("crashed", "container is gone")),
    ],
)
def test_it_says_what_the_engine_does(
    found: Container | None, deaths: list[Death], seen: tuple[str, str]
) -> None:
    assert observe(App(wanted="running"), found, deaths, now=NOW) == seen


@pytest.mark.parametrize("found", [None, container(S.EXITED, exit_code=0), container(S.CREATED)])
def test_a_stopped_app_is_not_a_crashed_one(found: Container | None) -> None:
    assert observe(App(wanted="stopped"), found, [], now=NOW) == ("stopped", "")


@pytest.fixture
def live(fake: FakeEngine, web: App) -> Deployment:
    return deploy(web)


def event(live: Deployment, action: str, seconds: float = 0, **facts: object) -> ContainerEvent:
    labels = {"mist.app": str(live.app_id), "mist.deployment": str(live.pk)}
    when = Deployment.objects.get(pk=live.pk).created_at
    return ContainerEvent(action, live.container_id, labels, when, **facts)  # type: ignore[arg-type]


def test_it_counts_deaths_and_forgets_them_when_a_person_restarts(
    fake: FakeEngine, web: App, live: Deployment
) -> None:
    watch = observation.EventWatch()
    for _ in range(3):
        watch.note(event(live, "die", exit_code=1))
        watch.note(event(live, "start"))
    web.refresh_from_db()
    assert (web.observed, web.observed_detail) == ("restarting", "3 times in 2 min, exit 1")
    app_restart(app=web)
    reconciliation.apply_wishes()
    web.refresh_from_db()
    assert (web.observed, web.observed_detail) == ("running", "")


def test_a_container_that_was_told_to_end_has_not_died(
    fake: FakeEngine, web: App, live: Deployment
) -> None:
    watch = observation.EventWatch()
    for _ in range(3):
        for action in ("kill", "die", "stop", "start"):
            watch.note(event(live, action, exit_code=0 if action == "die" else None))
    web.refresh_from_db()
    assert (web.observed, web.deaths) == ("running", [])


def test_it_knows_which_death_was_of_hunger(fake: FakeEngine, web: App, live: Deployment) -> None:
    watch = observation.EventWatch()
    for _ in range(2):
        watch.note(event(live, "oom"))
        watch.note(event(live, "die", exit_code=137))
    web.refresh_from_db()
    assert web.observed_detail == "2 times in 2 min, exit 137, out of memory"


def test_the_death_of_an_older_container_says_nothing_of_the_app(
    fake: FakeEngine, web: App, live: Deployment
) -> None:
    watch = observation.EventWatch()
    Deployment.objects.filter(pk=live.pk).update(number=99)
    older = Deployment(pk=live.pk + 50, app=web, container_id="older")
    labels = {"mist.app": str(web.pk), "mist.deployment": str(older.pk)}
    for _ in range(3):
        watch.note(ContainerEvent("die", "older", labels, live.created_at, exit_code=1))
    web.refresh_from_db()
    assert web.observed == "running"


@pytest.fixture
def watcher(live: Deployment) -> Iterator[None]:
    stopping = threading.Event()
    thread = threading.Thread(target=observation.watch_engine, args=(stopping, list))
    thread.start()
    yield
    stopping.set()
    thread.join(10)


@pytest.mark.django_db(transaction=True)
def test_the_watcher_writes_down_what_happens(
    fake: FakeEngine, web: App, live: Deployment, watcher: None, client: Client, alice: User
) -> None:
    wait_until(lambda: any(step == "events" for _, step, _ in fake.calls), "watching")
    fake.containers.kill(live.container_id, exit_code=137, oom=True)
    wait_until(
        lambda: App.objects.get(pk=web.pk).observed == "crashed", "the crash being written down"
    )
    client.force_login(alice)
    page = client.get("/projects/shop/apps/web/").content.decode()
    assert "web has crashed, exit 137, out of memory" in page
