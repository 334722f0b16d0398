"""What should be against what is."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.accounts.models import User
from apps.deployments import lifecycle, observation, reconciliation, recovery
from apps.deployments.logs import log_path
from apps.deployments.models import Deployment, Status
from apps.deployments.services import (
    app_delete,
    app_restart,
    app_start,
    app_stop,
    deployment_request,
)
from apps.deployments.tasks import claim_next
from apps.domains.services import domain_add
from apps.engine.data import ContainerStatus
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy


def test_stop_and_start_keep_the_container(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    app_stop(app=web)
    reconciliation.apply_wishes()
    web.refresh_from_db()
    assert fake.containers.all[live.container_id].status is ContainerStatus.EXITED
    assert web.observed == App.Observed.STOPPED
    app_start(app=web)
    reconciliation.apply_wishes()
    web.refresh_from_db()
    assert fake.containers.all[live.container_id].status is ContainerStatus.RUNNING
    assert web.observed == App.Observed.RUNNING


def test_restart_stops_and_starts_the_same_container(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.calls.clear()
    app_restart(app=web)
    reconciliation.apply_wishes()
    steps = [step for actor, step, what in fake.calls if what == live.container_id]
    assert steps.index("stop") < steps.index("resume")


def test_a_host_name_is_added_without_restarting(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.calls.clear()
    domain_add(app=web, host="shop.example.com", created_by=None)
    reconciliation.apply_wishes()
    rule = fake.proxy.routes[str(web.pk)]["http"]["routers"][f"app-{web.pk}"]["rule"]
    assert "Host(`shop.example.com`)" in rule
    assert not {"stop", "start", "resume"} & {step for _, step, _ in fake.calls}
    assert list(fake.containers.all) == [live.container_id]


def test_deletion_leaves_nothing(fake: FakeEngine, web: App, data_dir: Path) -> None:
    done = deploy(web)
    (data_dir / "repos" / str(web.pk)).mkdir(parents=True)
    app_delete(app=web)
    reconciliation.apply_wishes()
    assert not App.objects.exists() and not Deployment.objects.exists()
    assert (fake.containers.all, fake.containers.images, fake.containers.networks) == ({}, {}, {})
    assert fake.proxy.routes == {}
    assert not log_path(done.pk).exists() and not (data_dir / "repos" / str(web.pk)).exists()


def test_deletion_waits_for_a_running_deployment_to_end(
    fake: FakeEngine, web: App, alice: User
) -> None:
    deployment_request(app=web, requested_by=alice)
    claimed = claim_next()
    assert claimed is not None
    app_delete(app=web)
    reconciliation.apply_wishes()
    assert App.objects.filter(pk=web.pk, needs_apply=True).exists()
    lifecycle.move(claimed, Status.CANCELLED)
    reconciliation.apply_wishes()
    assert not App.objects.exists()


@pytest.mark.parametrize(
    ("oom", "detail"), [(False, "exit 137"), (True, "exit 137, out of memory")]
)
def test_a_killed_container_is_shown_as_crashed(
    fake: FakeEngine, web: App, oom: bool, detail: str
) -> None:
    live = deploy(web)
    fake.containers.kill(live.container_id, exit_code=137, oom=oom)
    observation.observe_all()
    web.refresh_from_db()
    assert (web.observed, web.observed_detail) == (App.Observed.CRASHED, detail)


def test_an_unknown_container_of_ours_is_removed_and_a_stranger_is_left(
    fake: FakeEngine, web: App
) -> None:
    live = deploy(web)
    orphan = deploy(web)
    Deployment.objects.filter(pk=live.pk).delete()
    stranger = fake.containers.all[orphan.container_id]
    fake.containers.all["stranger"] = type(stranger)(
        id="stranger", name="other", status=ContainerStatus.RUNNING, labels={"mist.instance": "x"}
    )
    Deployment.objects.all().delete()
    fake.containers.age(orphan.container_id, seconds=61)
    reconciliation.remove_orphans()
    assert list(fake.containers.all) == ["stranger"]


@pytest.mark.parametrize(
    "status", [Status.CLONING, Status.BUILDING, Status.STARTING, Status.CHECKING]
)
def test_work_of_a_killed_process_is_queued_again(
    fake: FakeEngine, web: App, data_dir: Path, status: Status
) -> None:
    deployment = deployment_request(app=web, requested_by=None)
    Deployment.objects.filter(pk=deployment.pk).update(status=status, owner="dead")
    (data_dir / "builds" / str(deployment.pk)).mkdir(parents=True)
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    deployment.refresh_from_db()
    assert (deployment.status, deployment.owner) == (Status.QUEUED, "")
    assert not (data_dir / "builds" / str(deployment.pk)).exists()


def test_a_switch_of_a_killed_process_is_finished(fake: FakeEngine, web: App) -> None:
    first = deploy(web)
    second = deploy(web)
    # As a process leaves it that dies between the route file and the database.
    Deployment.objects.filter(pk=second.pk).update(status=Status.SWITCHING, owner="dead")
    Deployment.objects.filter(pk=first.pk).update(status=Status.LIVE)
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    states = dict(Deployment.objects.values_list("pk", "status"))
    assert states == {first.pk: Status.RETIRED, second.pk: Status.LIVE}


def test_a_living_lease_is_respected_when_others_may_work(fake: FakeEngine, web: App) -> None:
    deployment_request(app=web, requested_by=None)
    assert lifecycle.claim(owner="other", limit=1) is not None
    assert recovery.recover_abandoned(owner="new", alone=False) == 0
