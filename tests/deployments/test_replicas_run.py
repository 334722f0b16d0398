"""Apps of several containers."""

from __future__ import annotations

from pathlib import Path

from django.test import Client

from apps.accounts.models import User
from apps.deployments import observation, reconciliation
from apps.deployments.archive import archive_path
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_restart, app_stop
from apps.engine.data import ContainerStatus, ProbeResult
from apps.engine.errors import StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy

LOGS = "/projects/shop/apps/web/logs/"


def names(fake: FakeEngine) -> list[str]:
    return sorted(container.name for container in fake.containers.all.values())


def test_all_of_them_serve_and_the_old_ones_go(fake: FakeEngine, three: App) -> None:
    deploy(three)
    live = deploy(three)
    base = live.container_name
    assert names(fake) == [base, f"{base}-2", f"{base}-3"]
    assert set(live.container_ids) == set(fake.containers.all) and live.replicas == 3
    labels = [container.labels for container in fake.containers.all.values()]
    service = f"traefik.http.services.{live.service}.loadbalancer.server.port"
    assert all(one[service] == "8000" for one in labels)
    # Each is probed by itself.
    assert {
        one[f"traefik.http.routers.{live.service}-{n}-probe.service"]
        for n, one in enumerate(labels, 1)
    } == {f"{live.service}-{n}" for n in (1, 2, 3)}
    routes = fake.proxy.routes[str(three.pk)]["http"]
    assert routes["middlewares"] == {
        f"app-{three.pk}-retry": {"retry": {"attempts": 9, "initialInterval": "10ms"}}
    }


def test_each_starts_when_the_one_before_works(fake: FakeEngine, three: App) -> None:
    deploy(three)
    steps = [step for actor, step, _ in fake.calls if step in ("start", "probe", "write_routes")]
    assert steps == ["start", "probe"] * 3 + ["write_routes"]


def test_one_that_does_not_work_keeps_the_old_version(fake: FakeEngine, three: App) -> None:
    live = deploy(three)
    good = ProbeResult(200, 1.0)
    fake.proxy.answers = [good]
    fake.containers.fail("start", lambda: None)
    fake.containers.fail("start", StartFailed("The engine could not start the container."))
    failed = deploy(three)
    assert failed.status == Status.FAILED
    assert set(fake.containers.all) == set(Deployment.objects.get(pk=live.pk).container_ids)
    assert (failed.container_id, failed.replica_ids) == ("", [])


def test_wishes_reach_all_of_them(fake: FakeEngine, three: App) -> None:
    live = deploy(three)
    fake.calls.clear()
    app_restart(app=three)
    reconciliation.apply_wishes()
    wanted = [(step, one) for one in live.container_ids for step in ("stop", "resume")]
    done = [(step, about) for _, step, about in fake.calls if step in ("stop", "resume")]
    assert done == wanted
    app_stop(app=three)
    reconciliation.apply_wishes()
    states = {container.status for container in fake.containers.all.values()}
    assert states == {ContainerStatus.EXITED}


def test_one_that_is_gone_is_said_and_brought_back(fake: FakeEngine, three: App) -> None:
    live = deploy(three)
    fake.containers.remove(live.container_ids[1])
    observation.observe_all()
    three.refresh_from_db()
    assert (three.observed, three.observed_detail) == (
        "unhealthy",
        "1 of 3 containers crashed, container is gone",
    )
    reconciliation.apply_wishes()
    three.refresh_from_db()
    again = Deployment.objects.get(pk=live.pk)
    assert (three.observed, three.observed_detail) == ("running", "")
    assert names(fake) == [live.container_name, f"{live.name_of(2)}", f"{live.name_of(3)}"]
    assert set(again.container_ids) == set(fake.containers.all)
    assert again.container_ids[0] == live.container_ids[0]


def test_when_all_are_down_the_app_is(fake: FakeEngine, three: App) -> None:
    for one in deploy(three).container_ids:
        fake.containers.kill(one, exit_code=3)
    observation.observe_all()
    three.refresh_from_db()
    assert (three.observed, three.observed_detail) == (
        "crashed",
        "3 of 3 containers crashed, exit 3",
    )


def test_the_output_of_each_can_be_read(
    fake: FakeEngine, three: App, client: Client, alice: User, data_dir: Path
) -> None:
    first = deploy(three)
    for n, one in enumerate(first.container_ids, 1):
        fake.containers.write(
            one, f"words of number {n}", stamp=f"2026-01-01T00:00:0{n}.000000000Z"
        )
    client.force_login(alice)
    assert "words of number 1" in client.get(LOGS).content.decode()
    page = client.get(LOGS, {"container": "2"}).content.decode()
    assert "words of number 2" in page and "words of number 1" not in page
    assert "Container 2 of 3" in page and "&quot;container&quot;: &quot;2&quot;" in page
    deploy(three)
    assert archive_path(first.pk, 3).exists()
    kept = client.get(f"{LOGS}text/", {"deployment": "1", "container": "3"})
    assert b"words of number 3" in b"".join(kept.streaming_content)  # type: ignore[attr-defined]


def test_what_a_replaced_container_wrote_stays_before_what_the_new_one_writes(
    fake: FakeEngine, three: App, client: Client, alice: User, data_dir: Path
) -> None:
    live = deploy(three)
    fake.containers.write(live.container_id, "before", stamp="2026-01-01T00:00:01.000000000Z")
    fake.containers.lose_networks()
    observation.observe_all()
    reconciliation.apply_wishes()
    live.refresh_from_db()
    fake.containers.write(live.container_id, "after", stamp="2026-01-01T00:00:02.000000000Z")
    client.force_login(alice)
    page = client.get(LOGS).content.decode()
    assert page.index("before") < page.index("after")
