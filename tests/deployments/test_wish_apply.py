"""What people ask of running apps is done, whatever comes in between."""

from __future__ import annotations

import pytest

from apps.deployments import observation, pipeline, reconciliation, recovery
from apps.deployments.models import Deployment, Status
from apps.deployments.remaking import request_repair
from apps.deployments.services import app_restart, app_stop
from apps.deployments.tasks import claim_next
from apps.engine.data import ContainerStatus
from apps.engine.errors import EngineUnavailable, StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "RETRY_SECONDS", 0.0)


def run_next() -> Deployment:
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def seen(app: App) -> tuple[str, str]:
    app.refresh_from_db()
    return app.observed, app.observed_detail


def test_a_restart_never_looks_like_a_crash(fake: FakeEngine, web: App) -> None:
    deploy(web)
    app_restart(app=web)
    between: list[tuple[str, str]] = []

    def look() -> None:
        observation.observe_all()
        between.append(seen(web))

    fake.containers.fail("resume", look)
    reconciliation.apply_wishes()
    assert between == [("running", "")] and seen(web) == ("running", "")


def test_a_restart_whose_process_dies_is_taken_up_again(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    app_restart(app=web)

    def die() -> None:
        raise Killed

    fake.containers.fail("resume", die)
    with pytest.raises(Killed):
        reconciliation.apply_wishes()
    assert fake.containers.all[live.container_id].status is ContainerStatus.EXITED
    reconciliation.apply_wishes()
    assert fake.containers.all[live.container_id].status is ContainerStatus.RUNNING
    assert not App.objects.filter(needs_apply=True).exists()


def test_a_wish_waits_for_an_engine_that_does_not_answer(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    app_stop(app=web)
    fake.containers.fail("stop", EngineUnavailable("The Docker engine does not answer."))
    reconciliation.apply_wishes()
    assert seen(web) == ("running", "The Docker engine does not answer.")
    reconciliation.apply_wishes()
    assert fake.containers.all[live.container_id].status is ContainerStatus.EXITED
    assert seen(web) == ("stopped", "")


def test_a_container_that_cannot_start_again_is_said_and_not_tried_for_ever(
    fake: FakeEngine, web: App
) -> None:
    deploy(web)
    app_restart(app=web)
    for step in ("resume", "start"):
        fake.containers.fail(step, StartFailed("The engine could not start the container."))
    reconciliation.apply_wishes()
    assert seen(web) == ("crashed", "The engine could not start the container.")
    assert not App.objects.filter(needs_apply=True).exists()


def test_a_wish_that_comes_while_another_is_carried_out_is_carried_out_too(
    fake: FakeEngine, web: App
) -> None:
    live = deploy(web)
    app_restart(app=web)
    fake.containers.fail("resume", lambda: app_stop(app=web))
    reconciliation.apply_wishes()
    assert App.objects.filter(needs_apply=True).exists()
    reconciliation.apply_wishes()
    assert fake.containers.all[live.container_id].status is ContainerStatus.EXITED
    assert seen(web) == ("stopped", "")


def test_two_workers_do_not_carry_out_the_same_wish(fake: FakeEngine, web: App) -> None:
    deploy(web)
    app_restart(app=web)
    fake.containers.fail("resume", reconciliation.apply_wishes)
    fake.calls.clear()
    reconciliation.apply_wishes()
    assert [step for _, step, _ in fake.calls if step in ("stop", "resume")] == ["stop", "resume"]


def test_a_stop_that_is_asked_for_while_a_new_version_comes_holds_for_that_one(
    fake: FakeEngine, web: App
) -> None:
    deploy(web)

    def stop() -> None:
        app_stop(app=web)
        reconciliation.apply_wishes()

    fake.containers.fail("build", stop)
    second = deploy(web)
    web.refresh_from_db()
    assert (second.status, web.wanted) == (Status.LIVE, App.Wanted.STOPPED)
    reconciliation.apply_wishes()
    web.refresh_from_db()
    assert fake.containers.all[second.container_id].status is ContainerStatus.EXITED
    assert (web.observed, web.needs_apply) == (App.Observed.STOPPED, False)


@pytest.mark.parametrize("was", [App.Wanted.RUNNING, App.Wanted.STOPPED])
def test_a_stop_holds_though_mist_dies_in_the_middle_of_that_deployment(
    fake: FakeEngine, web: App, was: str
) -> None:
    """Pressed while it waits or is at work. The next Mist begins the deployment again."""
    deploy(web)
    App.objects.filter(pk=web.pk).update(wanted=was)

    def die() -> None:
        app_stop(app=web)
        raise Killed

    fake.containers.fail("build", die)
    with pytest.raises(Killed):
        deploy(web)
    recovery.recover_abandoned(owner="next", alone=True)
    second = run_next()
    web.refresh_from_db()
    assert (second.status, web.wanted) == (Status.LIVE, App.Wanted.STOPPED)
    reconciliation.apply_wishes()
    assert fake.containers.all[second.container_id].status is ContainerStatus.EXITED


@pytest.mark.parametrize("stopped", ["before", "after"])
def test_a_repair_that_nobody_asked_for_does_not_start_an_app_that_is_stopped(
    fake: FakeEngine, web: App, stopped: str
) -> None:
    live = deploy(web)
    if stopped == "before":
        app_stop(app=web)
    assert request_repair(live)
    if stopped == "after":
        app_stop(app=web)
    repaired = run_next()
    web.refresh_from_db()
    assert (repaired.status, web.wanted) == (Status.LIVE, App.Wanted.STOPPED)


def test_a_stop_says_nothing_of_deployments_that_are_over(fake: FakeEngine, web: App) -> None:
    """Nor does it wait for whoever holds their rows, as a rollback does."""
    app_stop(app=web)
    over = deploy(web)
    app_stop(app=web)
    over.refresh_from_db()
    assert over.starts_app
