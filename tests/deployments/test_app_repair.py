"""What should run is started again, whatever took it away."""

from __future__ import annotations

import pytest

from apps.deployments import observation, reconciliation
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_stop
from apps.deployments.tasks import claim_next
from apps.engine.data import ContainerStatus
from apps.engine.errors import EngineUnavailable, OutOfDisk, StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import variables_save
from tests.deployments.test_deployment_run import deploy


def put_right() -> None:
    observation.observe_all()
    reconciliation.apply_wishes()


def seen(app: App) -> tuple[str, str]:
    app.refresh_from_db()
    return app.observed, app.observed_detail


def test_a_container_that_is_gone_is_started_again_as_it_was(fake: FakeEngine, web: App) -> None:
    variables_save(app=web, values={"MODE": "then"}, changed_by=None)
    live = deploy(web)
    made = fake.containers.specs[live.container_id]
    variables_save(app=web, values={"MODE": "now"}, changed_by=None)
    App.objects.filter(pk=web.pk).update(memory_mb=2048)
    fake.containers.remove(live.container_id)
    put_right()
    live.refresh_from_db()
    assert [live.container_id] == list(fake.containers.all)
    assert fake.containers.specs[live.container_id] == made
    assert made.env["MODE"] == "then"
    assert (seen(web), live.status) == (("running", ""), Status.LIVE)


def test_one_that_was_stopped_by_hand_runs_again(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.containers.stop(live.container_id)
    put_right()
    assert fake.containers.all[live.container_id].status is ContainerStatus.RUNNING
    assert seen(web) == ("running", "")


def test_one_that_a_person_stopped_in_mist_stays_stopped(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    app_stop(app=web)
    put_right()
    fake.containers.resume(live.container_id)
    put_right()
    assert fake.containers.all[live.container_id].status is ContainerStatus.EXITED
    fake.containers.remove(live.container_id)
    put_right()
    assert fake.containers.all == {} and seen(web) == ("stopped", "")


def test_one_that_lost_its_network_gets_it_back(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    before = set(fake.containers.networks)
    fake.containers.lose_networks()
    put_right()
    live.refresh_from_db()
    assert set(fake.containers.networks) == before
    assert fake.containers.all[live.container_id].addresses
    assert live.container_id in fake.containers.all and len(fake.containers.all) == 1


def test_a_stopped_one_whose_network_is_gone_is_made_anew(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.containers.stop(live.container_id)
    fake.containers.lose_networks()
    put_right()
    live.refresh_from_db()
    assert fake.containers.all[live.container_id].status is ContainerStatus.RUNNING
    assert len(fake.containers.all) == 1


def test_without_its_image_the_same_commit_is_built_again_once(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.git.commit("A later one")
    fake.containers.remove(live.container_id)
    fake.containers.remove_image(live.image)
    put_right()
    assert seen(web) == ("crashed", "Its image is gone, it is built again.")
    again = Deployment.objects.get(status=Status.QUEUED)
    assert (again.commit, again.trigger) == (live.commit, Deployment.Trigger.REPAIR)
    claimed = claim_next()
    assert claimed is not None
    Deployment.objects.filter(pk=claimed.pk).update(status=Status.FAILED)
    observation._not_before.clear()
    put_right()
    assert seen(web) == ("crashed", "Its image is gone. Deploy again.")
    assert Deployment.objects.count() == 2


def test_what_cannot_be_started_is_said_and_left_for_a_while(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.containers.remove(live.container_id)
    fake.containers.fail("start", StartFailed("The engine could not start the container."))
    put_right()
    assert seen(web) == ("crashed", "The engine could not start the container.")
    put_right()
    assert fake.containers.all == {}
    assert seen(web) == ("crashed", "The engine could not start the container.")
    observation._not_before.clear()
    put_right()
    assert seen(web) == ("running", "")


def test_the_container_of_a_version_that_was_just_replaced_is_not_brought_back(
    fake: FakeEngine, web: App
) -> None:
    first = deploy(web)
    fake.containers.remove(first.container_id)
    observation.observe_all()
    fake.containers.fail("image_exists", lambda: deploy(web))
    reconciliation.apply_wishes()
    live = Deployment.objects.get(status=Status.LIVE)
    assert live.pk != first.pk and list(fake.containers.all) == [live.container_id]


def test_nothing_is_set_right_while_traffic_moves(fake: FakeEngine, web: App) -> None:
    first = deploy(web)

    def lose() -> None:
        fake.containers.remove(first.container_id)
        observation.observe_all()
        assert not App.objects.filter(needs_apply=True).exists()

    fake.proxy.fail("probe", lose)
    assert deploy(web).status == Status.LIVE


@pytest.mark.parametrize("found", [None, {"http": {"routers": {}}}])
def test_a_route_file_that_drifted_is_written_again(
    fake: FakeEngine, web: App, found: dict[str, object] | None
) -> None:
    deploy(web)
    written = dict(fake.proxy.routes)
    fake.proxy.routes.clear()
    if found is not None:
        fake.proxy.routes[str(web.pk)] = found
    fake.proxy.routes["999"] = {"http": {}}
    reconciliation.restore_routes()
    assert fake.proxy.routes == written


def test_a_full_disk_keeps_no_container_down(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.containers.remove(live.container_id)
    fake.proxy.fail("write_routes", OutOfDisk("The disk is full."), times=2)
    reconciliation.reconcile(owner="me", alone=True)
    reconciliation.reconcile(owner="me", alone=True)
    assert len(fake.containers.all) == 1 and seen(web) == ("running", "")


def test_an_unknown_container_of_ours_has_a_grace_time(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    Deployment.objects.all().delete()
    reconciliation.remove_orphans()
    assert list(fake.containers.all) == [live.container_id]
    fake.containers.age(live.container_id, seconds=61)
    reconciliation.remove_orphans()
    assert fake.containers.all == {}


@pytest.mark.parametrize("step", ["list", "inspect", "start"])
def test_an_engine_that_does_not_answer_is_met_again_later(
    fake: FakeEngine, web: App, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "RETRY_SECONDS", 0.0)
    live = deploy(web)
    fake.containers.remove(live.container_id)
    fake.containers.fail(step, EngineUnavailable("The Docker engine does not answer."))
    for _ in range(2):
        reconciliation.reconcile(owner="me", alone=True)
    assert len(fake.containers.all) == 1 and seen(web) == ("running", "")
