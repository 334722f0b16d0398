"""Releases with a gap on the fake engine: never two at once, and the old one comes back."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from apps.deployments import lifecycle, pipeline, reconciliation, recovery
from apps.deployments.checking import check
from apps.deployments.cloning import clone
from apps.deployments.ending import wish_lock
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.observation import observe_app
from apps.deployments.pipeline import build, take_stock
from apps.deployments.services import (
    app_restart,
    app_stop,
    deployment_cancel,
    deployment_request,
)
from apps.deployments.starting import start
from apps.deployments.tasks import claim_next
from apps.deployments.work import Work, log_of
from apps.engine.data import ContainerStatus, ProbeResult
from apps.engine.errors import EngineUnavailable, StartFailed, SwitchFailed
from apps.engine.fake import FakeEngine
from apps.engine.locks import file_lock
from apps.projects.models import App
from apps.projects.services import host_port_add, volume_add
from tests.deployments.test_deployment_run import deploy, serving


@pytest.fixture
def held(web: App) -> App:
    """shop/web with a volume."""
    volume_add(app=web, name="data", path="/data", created_by=None)
    return web


def running(fake: FakeEngine) -> list[str]:
    return [c.name for c in fake.containers.all.values() if c.status is ContainerStatus.RUNNING]


def log(deployment: Deployment) -> str:
    return "".join(plain_text(log_path(deployment.pk)))


class Killed(BaseException):
    """Of Mist, by `kill -9`."""


def half_done(fake: FakeEngine, app: App) -> Deployment:
    """Request and claim one and carry it up to the switch. Nothing is undone, whatever happens."""
    deployment_request(app=app, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    with log_of(claimed) as opened, ExitStack() as undo:
        work = Work(claimed, fake, opened, undo)
        try:
            for step in (take_stock, clone, build, start, check):
                step(work)
        finally:
            undo.pop_all()
    return claimed


def closed(app: App) -> str:
    return f"app-{app.pk}-closed"


def test_the_old_one_has_ended_when_the_new_one_starts(fake: FakeEngine, held: App) -> None:
    first = deploy(held)
    assert first.gap_seconds is None and "Stopping" not in log(first)
    seen: list[tuple[list[str], str]] = []
    fake.containers.fail("start", lambda: seen.append((running(fake), serving(fake, held))))
    fake.calls.clear()
    second = deploy(held)
    assert seen == [([], closed(held))]
    steps = [step for _, step, _ in fake.calls]
    order = ["build", "wait_until_closed", "drain", "stop", "start", "probe", "wait_for_route"]
    assert sorted(order, key=steps.index) == order
    assert (second.status, running(fake)) == (Status.LIVE, [second.container_name])
    assert serving(fake, held) == f"{second.service}@docker"
    assert second.gap_seconds is not None and second.gap_seconds >= 0
    assert "Stopping #1 first: it holds the volume data" in log(second)
    assert f"The gap took {second.gap_seconds:.1f} s" in log(second)
    assert list(fake.containers.all) == [second.container_id]


def test_without_a_gap_both_run_for_a_moment(fake: FakeEngine, held: App) -> None:
    App.objects.update(release_mode="no-gap")
    first = deploy(held)
    seen: list[list[str]] = []
    fake.proxy.fail("probe", lambda: seen.append(running(fake)))
    second = deploy(held)
    assert seen == [[first.container_name, second.container_name]]


@pytest.mark.parametrize(
    ("step", "actor"),
    [("start", "containers"), ("wait_for_route", "proxy"), ("wait_until_closed", "proxy")],
)
def test_the_old_one_is_back_when_a_step_fails(
    fake: FakeEngine, held: App, step: str, actor: str
) -> None:
    first = deploy(held)
    error = StartFailed("No.") if step == "start" else SwitchFailed("No.")
    getattr(fake, actor).fail(step, error)
    second = deploy(held)
    assert (second.status, second.failure) == (Status.FAILED, "No.")
    assert running(fake) == [first.container_name]
    assert list(fake.containers.all) == [first.container_id]
    assert serving(fake, held) == f"{first.service}@docker"
    assert "#1 runs again and answers" in log(second)
    assert "The gap took" in log(second)
    held.refresh_from_db()
    assert not held.needs_apply and held.observed == App.Observed.RUNNING


def test_the_new_one_is_gone_before_the_old_one_is_started(fake: FakeEngine, held: App) -> None:
    first = deploy(held)
    App.objects.update(health_start_seconds=0, health_attempts=1)
    fake.proxy.answers.append(ProbeResult(500, 1.0))
    seen: list[int] = []
    fake.containers.fail("resume", lambda: seen.append(len(fake.containers.all)))
    assert deploy(held).status == Status.FAILED
    assert seen == [1] and running(fake) == [first.container_name]


def cancelled_at(fake: FakeEngine, actor: str, step: str, held: App) -> Deployment:
    requested = deployment_request(app=held, requested_by=None)
    getattr(fake, actor).fail(step, lambda: deployment_cancel(deployment=requested, by=None))
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    requested.refresh_from_db()
    assert requested.status == Status.CANCELLED
    return requested


@pytest.mark.parametrize(("actor", "step"), [("proxy", "drain"), ("containers", "start")])
def test_the_old_one_is_back_after_cancelling(
    fake: FakeEngine, held: App, actor: str, step: str
) -> None:
    first = deploy(held)
    cancelled_at(fake, actor, step, held)
    reconciliation.apply_wishes()
    assert running(fake) == [first.container_name]
    assert serving(fake, held) == f"{first.service}@docker"


def test_cancelling_does_not_wait_for_a_long_grace_time(fake: FakeEngine, held: App) -> None:
    first = deploy(held)
    has_ended = threading.Event()
    fake.containers.fail("stop", lambda: has_ended.wait(20))
    second = cancelled_at(fake, "proxy", "drain", held)
    assert "#1 is still ending, and is started again when it has" in log(second)
    held.refresh_from_db()
    assert held.needs_apply and serving(fake, held) == f"{first.service}@docker"
    # Nobody touches it before: a second signal makes many a program give up its work.
    asked = fake.calls.count(("containers", "stop", first.container_id))
    reconciliation.apply_wishes()
    assert fake.calls.count(("containers", "stop", first.container_id)) == asked
    has_ended.set()
    with file_lock(wish_lock(held)):
        assert running(fake) == []
    reconciliation.apply_wishes()
    assert running(fake) == [first.container_name]
    held.refresh_from_db()
    assert not held.needs_apply and held.observed == App.Observed.RUNNING


def test_one_that_cannot_be_started_again_is_tried_until_it_runs(
    fake: FakeEngine, held: App
) -> None:
    first = deploy(held)
    fake.containers.fail("start", StartFailed("No."))
    fake.containers.fail("resume", EngineUnavailable("Gone."))
    second = deploy(held)
    assert second.status == Status.FAILED and "#1 is not back yet. Gone." in log(second)
    assert running(fake) == []
    reconciliation.apply_wishes()
    assert running(fake) == [first.container_name]
    assert serving(fake, held) == f"{first.service}@docker"


def test_it_stays_stopped_when_a_person_stopped_it_meanwhile(fake: FakeEngine, held: App) -> None:
    first = deploy(held)

    def stop_and_fail() -> None:
        app_stop(app=held)
        reconciliation.apply_wishes()
        raise StartFailed("No.")

    fake.containers.fail("start", stop_and_fail)
    deploy(held)
    reconciliation.apply_wishes()
    held.refresh_from_db()
    assert running(fake) == [] and not held.needs_apply
    assert first.container_id in fake.containers.all


@pytest.mark.parametrize(
    ("wish", "left"), [(app_stop, ContainerStatus.EXITED), (app_restart, ContainerStatus.RUNNING)]
)
def test_a_wish_waits_until_the_deployment_has_ended(
    fake: FakeEngine, held: App, wish: object, left: ContainerStatus
) -> None:
    deploy(held)
    seen: list[list[str]] = []

    def ask() -> None:
        assert callable(wish)
        wish(app=held)
        reconciliation.apply_wishes()
        held.refresh_from_db()
        observe_app(held)
        seen.append(running(fake))
        assert held.needs_apply and held.observed == App.Observed.RUNNING
        assert serving(fake, held) == closed(held)

    fake.containers.fail("start", ask)
    second = deploy(held)
    assert seen == [[]] and second.status == Status.LIVE
    reconciliation.apply_wishes()
    held.refresh_from_db()
    assert not held.needs_apply
    assert fake.containers.all[second.container_id].status is left


def test_a_stopped_app_runs_after_a_deployment_and_has_no_gap(fake: FakeEngine, held: App) -> None:
    deploy(held)
    app_stop(app=held)
    reconciliation.apply_wishes()
    assert running(fake) == []
    second = deploy(held)
    held.refresh_from_db()
    assert (held.wanted, second.gap_seconds) == (App.Wanted.RUNNING, None)
    assert running(fake) == [second.container_name]


def test_a_port_of_the_server_is_handed_on(fake: FakeEngine, web: App) -> None:
    host_port_add(
        app=web, port=5432, protocol="tcp", container_port=5432, reach="local", created_by=None
    )
    deploy(web)
    second = deploy(web)
    assert (second.status, second.failure) == (Status.LIVE, "")
    assert [p.port for p in fake.containers.specs[second.container_id].ports] == [5432]


@pytest.mark.parametrize("reached", ["drain", "stop", "start", "probe"])
def test_the_old_one_is_started_again_after_mist_was_killed(
    fake: FakeEngine, held: App, reached: str
) -> None:
    def die() -> None:
        raise Killed

    first = deploy(held)
    actor = fake.proxy if reached in ("drain", "probe") else fake.containers
    actor.fail(reached, die)
    with pytest.raises(Killed):
        half_done(fake, held)
    claimed = Deployment.objects.get(number=2)
    assert claimed.gap_began_at is not None
    recovery.recover_abandoned(owner="another", alone=True)
    claimed.refresh_from_db()
    assert claimed.status == Status.QUEUED and claimed.gap_began_at is None
    assert running(fake) == [first.container_name]
    assert list(fake.containers.all) == [first.container_id]
    assert serving(fake, held) == f"{first.service}@docker"
    again = claim_next()
    assert again is not None
    pipeline.run(again)
    assert Deployment.objects.get(pk=again.pk).status == Status.LIVE
    assert running(fake) == [again.container_name]


def test_a_switch_that_is_finished_after_a_kill_has_its_gap(fake: FakeEngine, held: App) -> None:
    deploy(held)
    claimed = half_done(fake, held)
    lifecycle.move(claimed, Status.SWITCHING)
    recovery.recover_abandoned(owner="another", alone=True)
    done = Deployment.objects.get(pk=claimed.pk)
    assert done.status == Status.LIVE and done.gap_seconds is not None
    assert running(fake) == [done.container_name]
