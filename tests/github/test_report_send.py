"""What GitHub is told of deployments: in order, also when it was down for a while, and never at
the cost of one."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import pipeline
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel, deployment_request, deployment_rollback
from apps.deployments.tasks import claim_next
from apps.engine.errors import BuildFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.sources import reporting
from apps.sources.github import client_of, clone_token, offers_of
from apps.sources.github_services import app_create_from_github
from apps.sources.models import GitHubReport, Installation
from apps.sources.reporting import send_due
from tests.deployments.test_deployment_run import deploy
from tests.github.api import GitHubHost, Said


@pytest.fixture
def api(
    fake: FakeEngine, near: GitHubHost, halden: Installation, shop: Project, alice: User
) -> App:
    """The app shop/api, a repository of GitHub."""
    near.repository(1, 7, "halden/api")
    [offer] = offers_of([halden])[0]
    return app_create_from_github(
        project=shop,
        installation=halden,
        repository=offer.repository,
        created_by=alice,
        slug="api",
        port=8000,
    )


def run_next() -> None:
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)


def due_now() -> None:
    """The pauses after failures are over."""
    GitHubReport.objects.update(due_at=timezone.now())


def deployment_states(host: GitHubHost) -> list[str]:
    return [said["state"] for _, said in host.deployment_statuses]


def test_each_step_is_told_once_with_a_link_to_its_log(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    sha = fake.git.commits["main"].sha
    deployment = deployment_request(app=api, requested_by=None, commit=sha)
    send_due()
    claimed = claim_next()
    assert claimed is not None
    send_due()
    Deployment.objects.filter(pk=claimed.pk).update(status=Status.BUILDING)
    send_due()
    Deployment.objects.filter(pk=claimed.pk).update(status=Status.LIVE, port=8000)
    send_due()
    send_due()
    assert near.states(sha) == ["pending", "pending", "success"]
    assert deployment_states(near) == ["queued", "in_progress", "success"]
    [made] = near.deployments
    assert (made["ref"], made["environment"]) == (sha, "shop/api")
    page = f"https://mist.example.com/projects/shop/apps/api/deployments/{deployment.number}/"
    assert {said["target_url"] for _, said in near.statuses} == {page}
    assert {said["context"] for _, said in near.statuses} == {"mist/shop/api"}
    assert {said["log_url"] for _, said in near.deployment_statuses} == {page}
    assert near.deployment_statuses[-1][1]["environment_url"] == api.url
    assert "environment_url" not in near.deployment_statuses[0][1]


def test_a_deployment_by_hand_is_told_as_soon_as_its_commit_is_known(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    deployment_request(app=api, requested_by=None)
    assert send_due() == 0 and near.statuses == []
    run_next()
    assert send_due() == 1
    assert near.states(fake.git.commits["main"].sha) == ["success"]


def test_a_failure_says_what_failed(fake: FakeEngine, near: GitHubHost, api: App) -> None:
    fake.containers.fail("build", BuildFailed("Step 3 of 4 failed. " + "x" * 300))
    failed = deploy(api)
    assert failed.status == Status.FAILED
    send_due()
    commit, said = near.statuses[-1]
    assert (commit, said["state"]) == (failed.commit, "failure")
    assert said["description"].startswith("#1: Failed. Step 3 of 4 failed.")
    assert len(said["description"]) <= 140
    assert deployment_states(near)[-1] == "failure"
    assert GitHubReport.objects.get().is_settled


def test_what_is_replaced_becomes_inactive_and_its_commit_stays_good(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    first = deploy(api)
    send_due()
    fake.git.commit("Second version")
    second = deploy(api)
    send_due()
    assert near.states(first.commit) == ["success", "success"]
    assert near.states(second.commit) == ["success"]
    [one, other] = [row["id"] for row in near.deployments]
    assert [(n, s["state"]) for n, s in near.deployment_statuses] == [
        *((one, "success"), (one, "inactive"), (other, "success")),
    ]


def test_of_one_commit_the_newest_deployment_speaks(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    """An older one that is told late says nothing about the commit any more."""
    sha = fake.git.commits["main"].sha
    old = deployment_request(app=api, requested_by=None, commit=sha)
    deployment_cancel(deployment=old, by=None)
    deploy(api)
    send_due()
    assert near.states(sha) == ["success"]
    assert sorted(deployment_states(near)) == ["inactive", "success"]


def test_cancelled_and_skipped_ones_do_not_stay_pending(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    shas = ["1" * 40, "2" * 40]
    first, second = (deployment_request(app=api, requested_by=None, commit=c) for c in shas)
    send_due()
    deployment_cancel(deployment=second, by=None)
    Deployment.objects.filter(pk=first.pk).update(
        status=Status.SKIPPED, failure="#2 took its place."
    )
    send_due()
    assert [near.states(sha) for sha in shas] == [["pending", "error"]] * 2
    assert near.statuses[-2][1]["description"] == "#1: Skipped. #2 took its place."


def test_a_rollback_is_a_deployment_of_the_old_commit(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    first = deploy(api)
    fake.git.commit("Second version")
    deploy(api)
    first.refresh_from_db()
    deployment_rollback(to=first, requested_by=None)
    run_next()
    send_due()
    assert near.deployments[-1]["sha"] == first.commit
    assert deployment_states(near)[-1] == "success"


# --------------------------------------------------------------------------------- GitHub is down


def test_github_being_down_neither_delays_nor_fails_a_deployment(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    sha = fake.git.commits["main"].sha
    deployment_request(app=api, requested_by=None, commit=sha)
    send_due()
    run_next()
    near.is_down = True
    assert send_due() == 0
    assert Deployment.objects.get().status == Status.LIVE
    report = GitHubReport.objects.get()
    assert (report.attempts, report.is_settled) == (1, False)
    assert "problem of its own" in report.problem


def test_after_a_while_down_it_is_told_the_end_and_nothing_older(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    sha = fake.git.commits["main"].sha
    deployment_request(app=api, requested_by=None, commit=sha)
    clone_token(api)  # what the clone needs is there already
    near.is_down = True
    for _ in range(3):
        due_now()
        send_due()
    run_next()
    due_now()
    send_due()
    near.is_down = False
    due_now()
    send_due()
    send_due()
    assert near.states(sha) == ["success"]
    assert deployment_states(near) == ["success"]
    report = GitHubReport.objects.get()
    assert (report.attempts, report.problem, report.sent_status) == (0, "", Status.LIVE)


def test_pauses_grow_and_end_after_a_day(near: GitHubHost, api: App) -> None:
    deployment_request(app=api, requested_by=None, commit="1" * 40)
    near.is_down = True
    pauses = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(200):
            send_due()
            report = GitHubReport.objects.get()
            if report.is_settled:
                break
            pauses.append((report.due_at - timezone.now()).total_seconds())
            clock.move_to(report.due_at)
        assert report.is_settled and report.failing_since is not None
        assert timezone.now() - report.failing_since < dt.timedelta(hours=25)
        assert pauses[:5] == [5, 10, 20, 40, 80] and max(pauses) == 900
        near.is_down = False
        clock.shift(dt.timedelta(hours=1))
        assert send_due() == 0


def test_a_lost_answer_makes_no_second_deployment_there(near: GitHubHost, api: App) -> None:
    sha = "1" * 40
    deployment_request(app=api, requested_by=None, commit=sha)
    # The token is there already: the answer to the deployment gets lost.
    client_of(api.github.installation.github_app).reporter(1, 7)
    near.lose_answers = 1
    assert send_due() == 0
    due_now()
    assert send_due() == 1
    assert len(near.deployments) == 1 and near.states(sha) == ["pending"]


def test_a_status_that_failed_halfway_is_told_again(near: GitHubHost, api: App) -> None:
    sha = "1" * 40
    deployment_request(app=api, requested_by=None, commit=sha)
    client_of(api.github.installation.github_app).reporter(1, 7)
    near.faults += [None]
    send_due()
    due_now()
    send_due()
    assert near.states(sha) == ["pending"] and len(near.deployments) == 1


def test_while_the_limit_lasts_nothing_more_is_asked(near: GitHubHost, api: App) -> None:
    for number in range(3):
        deployment_request(app=api, requested_by=None, commit=str(number) * 40)
    near.faults += [Said(403, {"message": "slow down"}, {"Retry-After": "600"})]
    assert send_due() == 0
    asked = len(near.asked)
    assert near.asked[-1][-1] == 403
    assert send_due() == 0 and len(near.asked) == asked
    due = set(GitHubReport.objects.values_list("due_at", flat=True))
    assert min(due) > timezone.now() + dt.timedelta(minutes=9)


def test_one_that_is_refused_for_good_hides_no_other(
    near: GitHubHost, api: App, fake: FakeEngine
) -> None:
    deployment_request(app=api, requested_by=None, commit="1" * 40)
    deployment_request(app=api, requested_by=None, commit="2" * 40)
    client_of(api.github.installation.github_app).reporter(1, 7)
    near.faults += [Said(422, {"message": "No ref found for: 1111"})]
    assert send_due() == 1
    bad, good = GitHubReport.objects.order_by("pk")
    assert (bad.is_settled, bad.problem) == (
        True,
        "127.0.0.1 refused it (HTTP 422): No ref found for: 1111",
    )
    assert good.sent_status == Status.QUEUED


def test_a_suspended_installation_is_told_later(near: GitHubHost, api: App) -> None:
    deployment_request(app=api, requested_by=None, commit="1" * 40)
    near.installations[0]["suspended_at"] = "2026-01-02T03:04:05Z"
    send_due()
    report = GitHubReport.objects.get()
    assert not report.is_settled and "suspended" in report.problem
    near.installations[0]["suspended_at"] = None
    due_now()
    assert send_due() == 1


def test_a_repository_with_another_name_is_told_under_that(near: GitHubHost, api: App) -> None:
    deployment_request(app=api, requested_by=None, commit="1" * 40)
    send_due()
    row = near.repositories[1][0]
    row |= {"full_name": "halden/gateway", "old_names": ["halden/api"]}
    Deployment.objects.update(status=Status.LIVE)
    assert send_due() == 0
    due_now()
    assert send_due() == 1
    assert near.states("1" * 40) == ["pending", "success"]


def test_two_rounds_at_once_send_it_once(near: GitHubHost, api: App) -> None:
    deployment_request(app=api, requested_by=None, commit="1" * 40)
    reporting._take_up()
    report = GitHubReport.objects.get()
    assert reporting._claim(report) and not reporting._claim(report)
    assert send_due() == 0
    GitHubReport.objects.update(busy_until=None)
    with reporting._round:
        assert send_due() == 0
    assert send_due() == 1


def test_an_app_of_another_source_is_told_to_nobody(near: GitHubHost, api: App, web: App) -> None:
    deployment_request(app=web, requested_by=None, commit="1" * 40)
    App.objects.filter(pk=api.pk).update(source_kind="git")
    deployment_request(app=api, requested_by=None, commit="2" * 40)
    assert send_due() == 0 and not GitHubReport.objects.exists()
