"""One deployment from the queue to its end, on the fake engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import lifecycle, pipeline
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel, deployment_request
from apps.deployments.tasks import OWNER, claim_next
from apps.engine.data import ProbeResult
from apps.engine.errors import (
    BuildFailed,
    EngineUnavailable,
    OutOfDisk,
    StartFailed,
    SwitchFailed,
)
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import variables_save


def deploy(app: App, ref: str = "") -> Deployment:
    """Request, claim and run one; returns the row as it is afterwards."""
    requested = deployment_request(app=app, requested_by=None, ref=ref)
    claimed = claim_next()
    assert claimed is not None and claimed.pk == requested.pk
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def serving(fake: FakeEngine, app: App) -> str:
    """The service that the app's public route leads to, empty when there is no route."""
    routes = fake.proxy.routes.get(str(app.pk))
    return str(routes["http"]["routers"][f"app-{app.pk}"]["service"]) if routes else ""


def test_it_goes_live_with_the_commit_that_was_built(fake: FakeEngine, web: App) -> None:
    commit = fake.git.commit("Add a cart")
    done = deploy(web)
    assert (done.status, done.commit, done.commit_message) == (
        Status.LIVE,
        commit.sha,
        "Add a cart",
    )
    assert serving(fake, web) == f"{done.service}@docker"
    assert fake.containers.builds[0].image == done.image
    in_time = sorted(done.stages, key=lambda stage: float(done.stages[stage][0]))
    assert in_time == ["cloning", "building", "starting", "checking", "switching", "live"]


def test_the_old_container_goes_only_after_the_new_one_has_the_traffic(
    fake: FakeEngine, web: App
) -> None:
    first = deploy(web)
    fake.calls.clear()
    second = deploy(web)
    steps = [(actor, step) for actor, step, _ in fake.calls]
    assert steps.index(("proxy", "wait_for_route")) < steps.index(("containers", "stop"))
    assert list(fake.containers.all) == [second.container_id]
    first.refresh_from_db()
    assert first.status == Status.RETIRED


def test_run_time_variables_reach_the_container_and_build_time_ones_the_build(
    fake: FakeEngine, web: App
) -> None:
    variables_save(app=web, values={"TOKEN": "a=b$c"}, changed_by=None)
    variables_save(
        app=web, values={"RELEASE": "9"}, changed_by=None, at_runtime=False, at_build=True
    )
    done = deploy(web)
    env = fake.containers.specs[done.container_id].env
    assert env["TOKEN"] == "a=b$c" and env["PORT"] == "8000" and "RELEASE" not in env
    assert fake.containers.builds[0].args == {"RELEASE": "9"}


def test_the_port_is_read_from_the_image_when_the_app_has_none(fake: FakeEngine, web: App) -> None:
    App.objects.filter(pk=web.pk).update(port=None)
    fake.git.files["Dockerfile"] = "FROM scratch\nEXPOSE 3000\n"
    assert deploy(web).port == 3000


@pytest.mark.parametrize(
    ("actor", "step", "error", "stage"),
    [
        ("git", "fetch", OutOfDisk("The disk is full."), Status.CLONING),
        ("containers", "build", BuildFailed("Build step 4 failed."), Status.BUILDING),
        ("containers", "start", StartFailed("No such command."), Status.STARTING),
        ("containers", "ensure_network", EngineUnavailable("No engine."), Status.STARTING),
        ("proxy", "probe", EngineUnavailable("No proxy."), Status.CHECKING),
        ("proxy", "wait_for_route", SwitchFailed("No new route."), Status.SWITCHING),
    ],
)
def test_it_keeps_the_old_version_and_leaves_nothing_when_a_step_fails(
    fake: FakeEngine,
    web: App,
    data_dir: Path,
    actor: str,
    step: str,
    error: Exception,
    stage: Status,
) -> None:
    first = deploy(web)
    getattr(fake, actor).fail(step, error)
    failed = deploy(web)
    assert (failed.status, failed.failure, failed.failed_stage) == (
        Status.FAILED,
        str(error),
        stage,
    )
    assert serving(fake, web) == f"{first.service}@docker"
    assert list(fake.containers.all) == [first.container_id]
    assert list(fake.containers.images) == [first.image]
    assert not list((data_dir / "builds").glob("*"))


def test_a_failed_first_deployment_leaves_no_route(fake: FakeEngine, web: App) -> None:
    fake.proxy.fail("wait_for_route", SwitchFailed("No new route."))
    assert deploy(web).status == Status.FAILED
    assert fake.proxy.routes == {} and fake.containers.all == {}


def test_it_keeps_the_old_version_when_the_new_one_is_unhealthy(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    first = deploy(web)
    settings.MIST_HEALTH_TIMEOUT = 0.0
    App.objects.filter(pk=web.pk).update(health_attempts=1)
    fake.proxy.answers = [ProbeResult(500, 1.0, "HTTP 500")]
    failed = deploy(web)
    assert failed.failure == "The health check GET / failed 1 times: HTTP 500."
    assert failed.failure_detail == "listening"
    assert serving(fake, web) == f"{first.service}@docker"


def test_it_names_the_port_that_nothing_listens_on(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    settings.MIST_HEALTH_TIMEOUT = 0.0
    App.objects.filter(pk=web.pk).update(health_attempts=1)
    fake.proxy.answers = [ProbeResult(None, 1.0, "nothing listens on the port yet")]
    failed = deploy(web)
    assert failed.failure.startswith("The app did not listen on port 8000")
    assert "PORT=8000" in failed.failure_hint


def test_it_says_at_once_when_the_app_ended(fake: FakeEngine, web: App) -> None:
    def crash() -> None:
        [container] = fake.containers.all
        fake.containers.kill(container, exit_code=3)

    fake.proxy.answers = [ProbeResult(None, 1.0, "nothing listens on the port yet")]
    fake.proxy.fail("probe", crash)
    assert deploy(web).failure == "The app ended with exit code 3 instead of answering."


def test_a_wrong_branch_is_answered_with_the_branches_that_exist(
    fake: FakeEngine, web: App
) -> None:
    failed = deploy(web, ref="nope")
    assert "nope" in failed.failure and "main" in failed.failure


def test_a_missing_dockerfile_is_named(fake: FakeEngine, web: App) -> None:
    fake.git.files = {"README.md": "Hello"}
    failed = deploy(web)
    assert "Dockerfile" in failed.failure and failed.failed_stage == Status.BUILDING


@pytest.mark.parametrize("step", ["build", "start"])
def test_a_cancelled_deployment_is_undone(
    fake: FakeEngine, web: App, alice: User, step: str
) -> None:
    requested = deployment_request(app=web, requested_by=alice)

    def cancel() -> None:
        deployment_cancel(deployment=requested, by=alice)

    fake.containers.fail(step, cancel)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    requested.refresh_from_db()
    assert (requested.status, requested.cancelled_by) == (Status.CANCELLED, alice)
    assert fake.containers.all == {} and fake.containers.images == {}


def test_work_that_another_owner_took_is_let_go(fake: FakeEngine, web: App) -> None:
    deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    fake.containers.fail("build", lambda: lifecycle.release(owner=OWNER))
    pipeline.run(claimed)
    assert Deployment.objects.get().status == Status.BUILDING
    assert fake.containers.all == {}


def test_an_error_inside_mist_is_a_failure_with_a_sentence(fake: FakeEngine, web: App) -> None:
    fake.containers.fail("build", ZeroDivisionError("secret detail"))
    failed = deploy(web)
    assert failed.failure == "Mist itself failed (ZeroDivisionError)."


def test_the_log_tells_the_story_and_no_secret(fake: FakeEngine, web: App) -> None:
    variables_save(app=web, values={"TOKEN": "hunter2-hunter2"}, changed_by=None)
    done = deploy(web)
    text = "".join(plain_text(log_path(done.pk)))
    assert "Cloning https://git.example.com/shop/web.git" in text
    assert f"Live at {web.url}" in text
    assert "hunter2" not in text


def test_only_the_images_of_the_last_versions_are_kept(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    settings.MIST_KEEP_IMAGES = 1
    done = [deploy(web) for _ in range(3)]
    assert list(fake.containers.images) == [d.image for d in done[1:]]
