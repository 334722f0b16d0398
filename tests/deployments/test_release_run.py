"""Release and post-deploy commands, on the fake engine."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import (
    following,
    lifecycle,
    observation,
    pipeline,
    planning,
    reconciliation,
    recovery,
)
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.release import CUT_OFF, TOO_LATE
from apps.deployments.selectors import unretired
from apps.deployments.services import deployment_cancel, deployment_request, deployment_rollback
from apps.deployments.tasks import OWNER, claim_next
from apps.engine.data import ContainerEvent, Outcome
from apps.engine.errors import EngineUnavailable, TimedOut
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_update, variables_save
from tests.deployments.test_deployment_run import deploy, serving

MIGRATE = "python manage.py migrate"
WARM = "sh -c 'echo warm'"


def log_text(deployment: Deployment) -> str:
    return "".join(plain_text(log_path(deployment.pk)))


def steps(fake: FakeEngine) -> list[str]:
    wanted = ("build", "run_once", "start", "probe", "write_routes", "stop")
    return [step for _, step, _ in fake.calls if step in wanted]


def test_it_runs_between_build_and_start_with_what_the_app_will_have(
    fake: FakeEngine, web: App
) -> None:
    app_update(app=web, release_command=MIGRATE)
    variables_save(app=web, values={"TOKEN": "a=b"}, changed_by=None)
    fake.containers.command_says = ["Applying 0002_cart"]
    done = deploy(web)
    assert steps(fake) == ["build", "run_once", "start", "probe", "write_routes"]
    assert list(done.stages)[1:4] == ["building", "releasing", "starting"]
    spec, app_spec = fake.containers.specs.values()
    assert spec.argv == ("python", "manage.py", "migrate") and spec.restart == "no"
    assert (spec.env, spec.network, spec.image) == (app_spec.env, app_spec.network, done.image)
    assert not any(label.startswith("traefik") for label in spec.labels)
    assert planning.owner_facts(spec.labels) is None
    assert "releasing Applying 0002_cart" in log_text(done)
    assert list(fake.containers.all) == [done.container_id]


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (Outcome(1), "The release command ended with exit code 1."),
        (Outcome(127), "The release command does not exist in the image, or may not be run"),
        (Outcome(137, True), "because it used more than 512 MB."),
    ],
)
def test_its_failure_ends_the_deployment_and_the_old_version_serves_on(
    fake: FakeEngine, web: App, outcome: Outcome, sentence: str
) -> None:
    first = deploy(web)
    app_update(app=web, release_command=MIGRATE)
    fake.containers.outcomes = [outcome]
    fake.containers.command_says = ["relation exists"]
    failed = deploy(web)
    assert (failed.status, failed.failed_stage) == (Status.FAILED, Status.RELEASING)
    assert sentence in failed.failure and failed.failure_hint
    assert failed.failure_detail == "relation exists"
    assert serving(fake, web) == f"{first.service}@docker"
    assert list(fake.containers.all) == [first.container_id]
    assert list(fake.containers.images) == [first.image]


def test_its_time_limit_is_told_with_its_last_lines(fake: FakeEngine, web: App) -> None:
    app_update(app=web, release_command=MIGRATE)
    fake.containers.fail("run_once", TimedOut("The release command took longer than 600 s."))
    failed = deploy(web)
    assert (failed.failure, failed.failure_detail) == (
        "The release command took longer than 600 s.",
        "done",
    )


def test_it_can_be_cancelled(fake: FakeEngine, web: App, alice: User) -> None:
    app_update(app=web, release_command=MIGRATE)
    requested = deployment_request(app=web, requested_by=alice)
    fake.containers.fail("run_once", lambda: deployment_cancel(deployment=requested, by=alice))
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    requested.refresh_from_db()
    assert (requested.status, requested.failed_stage) == (Status.CANCELLED, Status.RELEASING)
    assert fake.containers.all == {} and fake.containers.images == {}


def test_a_rollback_does_not_run_it_and_goes_live_with_the_other(
    fake: FakeEngine, web: App
) -> None:
    app_update(app=web, release_command=MIGRATE, post_deploy_command=WARM)
    first = deploy(web)
    deploy(web)
    fake.calls.clear()
    deployment_rollback(to=Deployment.objects.get(pk=first.pk), requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    assert steps(fake) == ["start", "probe", "write_routes", "stop", "run_once"]


def test_work_that_was_killed_in_the_release_is_swept_and_queued_again(
    fake: FakeEngine, web: App
) -> None:
    app_update(app=web, release_command=MIGRATE)
    requested = deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None

    def die() -> None:
        # What is left in the engine by a process that is gone at this point.
        [container] = fake.containers.all.values()
        fake.containers.all["left"] = container
        lifecycle.release(owner=OWNER)

    fake.containers.fail("run_once", die)
    pipeline.run(claimed)
    [left] = fake.containers.all.values()
    fake.containers.all = {left.id: left}
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    requested.refresh_from_db()
    assert (requested.status, fake.containers.all) == (Status.QUEUED, {})


def test_the_post_deploy_command_follows_the_old_versions_end(fake: FakeEngine, web: App) -> None:
    deploy(web)
    app_update(app=web, post_deploy_command=WARM)
    fake.calls.clear()
    done = deploy(web)
    assert steps(fake)[-3:] == ["write_routes", "stop", "run_once"]
    assert (done.status, done.post_deploy) == (Status.LIVE, "done")
    assert "The post-deploy command is done" in log_text(done)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (None, "The post-deploy command ended with exit code 4."),
        (EngineUnavailable("The engine is away."), "The engine is away."),
        (ZeroDivisionError("x"), "Mist itself failed (ZeroDivisionError)."),
    ],
)
def test_a_post_deploy_command_that_fails_undoes_nothing_and_is_told(
    fake: FakeEngine,
    web: App,
    client: Client,
    alice: User,
    fault: Exception | None,
    sentence: str,
) -> None:
    app_update(app=web, post_deploy_command=WARM)
    fake.containers.outcomes = [Outcome(4)]
    if fault is not None:
        fake.containers.fail("run_once", fault)
    done = deploy(web)
    assert (done.status, done.post_deploy) == (Status.LIVE, "failed")
    assert done.post_deploy_failure.startswith(sentence) and sentence in log_text(done)
    assert serving(fake, web) == f"{done.service}@docker"
    client.force_login(alice)
    page = client.get(f"/projects/shop/apps/web/deployments/{done.number}/").content.decode()
    assert "The post-deploy command failed" in page and "this version is live" in page


def test_a_post_deploy_command_whose_mist_was_killed_is_not_run_again(
    fake: FakeEngine, web: App, client: Client, alice: User
) -> None:
    app_update(app=web, post_deploy_command=WARM)
    deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None and pipeline.bring_live(claimed)
    lifecycle.begin_post_deploy(claimed)
    fake.containers.start(planning.command_spec(claimed, WARM, port=8000, variables=[]))
    reconciliation.sweep_commands()
    assert len(fake.containers.all) == 2
    client.force_login(alice)
    page = client.get("/projects/shop/apps/web/deployments/1/").content.decode()
    assert "The post-deploy command follows" in page and "data-over" not in page

    [left] = unretired(owner="new", alone=True)
    following.retire(left)
    live = Deployment.objects.get()
    assert (live.post_deploy, live.post_deploy_failure) == ("failed", CUT_OFF)
    assert list(fake.containers.all) == [live.container_id]
    assert "run_once" not in steps(fake) and unretired(owner="new", alone=True) == []


def test_a_post_deploy_command_of_a_version_that_is_replaced_by_now_is_left_out(
    fake: FakeEngine, web: App
) -> None:
    app_update(app=web, post_deploy_command=WARM)
    deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None and pipeline.bring_live(claimed)
    app_update(app=web, post_deploy_command="")
    deploy(web)
    [left] = unretired(owner="new", alone=True)
    following.retire(left)
    left.refresh_from_db()
    assert (left.post_deploy, left.post_deploy_failure) == ("failed", TOO_LATE)
    assert "run_once" not in steps(fake)


def test_a_command_that_nobody_waits_for_is_swept(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    fake.containers.start(planning.command_spec(live, WARM, port=8000, variables=[]))
    reconciliation.sweep_commands()
    assert list(fake.containers.all) == [live.container_id]


def test_a_commands_container_is_never_taken_for_the_apps(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    spec = planning.command_spec(live, WARM, port=8000, variables=[])
    command = fake.containers.start(spec)
    fake.containers.kill(command.id, exit_code=1)
    observation.observe_all()
    now = timezone.now()
    watch = observation.EventWatch()
    for _ in range(3):
        watch.note(ContainerEvent("die", command.id, command.labels, now, exit_code=1))
    web.refresh_from_db()
    assert (web.observed, web.deaths) == ("running", [])


def test_the_rail_has_a_stage_for_it_only_where_it_runs(
    fake: FakeEngine, web: App, client: Client, alice: User
) -> None:
    deploy(web)
    app_update(app=web, release_command=MIGRATE)
    deploy(web)
    client.force_login(alice)
    for number, stages in ((1, 7), (2, 8)):
        page = client.get(f"/projects/shop/apps/web/deployments/{number}/").content.decode()
        assert f"Stage {stages} of {stages}" in page
        assert ("Release</" in page or "Release<" in page) is (stages == 8)
