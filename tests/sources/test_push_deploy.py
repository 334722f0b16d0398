"""Which apps a push deploys, and what becomes of what waits or is at work."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounts.models import User
from apps.deployments import lifecycle, pipeline
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_request, deployment_rollback
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.projects.services import app_create, app_update
from apps.sources.planning import Push, RefKind
from apps.sources.pushes import app_pushed, deploy_pushed
from tests.deployments.test_deployment_run import deploy
from tests.sources.conftest import Host, said, waiting
from tests.sources.payloads import FIRST, NONE, SECOND, github_push


def sha(number: int) -> str:
    return f"{number:040x}"


def test_a_push_deploys_every_app_of_the_repository_whose_files_changed(
    github: Host, shop: Project, web: App
) -> None:
    made: dict[str, Any] = {"project": shop, "created_by": None}
    ssh = "git@git.example.com:shop/web.git"
    app_create(**made, slug="api", repository=ssh, root_directory="services/api")
    app_create(**made, slug="docs", repository=web.repository, watch_paths="docs\n**/*.md")
    app_create(**made, slug="next", repository=web.repository, branch="next")
    app_create(**made, slug="manual", repository=web.repository, auto_deploy=False)
    app_create(**made, slug="other", repository="https://git.example.com/shop/other")
    answer = github.send("push", github_push(paths=("services/api/main.py",)))
    assert sorted(said(answer)) == [
        "deployed shop/api #1",
        "deployed shop/web #1",
        "ignored shop/docs: nothing that it is built from changed",
        "ignored shop/manual: deploys by hand",
        "ignored shop/next: branch is not next",
    ]


def test_a_push_of_a_repository_that_nobody_has_is_ignored(github: Host, web: App) -> None:
    answer = github.send("push", github_push(repository="shop/other"))
    assert said(answer) == [
        "ignored: no app of shop is built from https://git.example.com/shop/other.git"
    ]


def test_a_push_to_a_fork_deploys_nothing_of_the_original(github: Host, web: App) -> None:
    fork = github_push(repository="mallory/web", number=18)
    fork["repository"]["fork"] = True
    github.send("push", github_push())
    answer = github.send("push", fork | {"after": FIRST})
    assert said(answer)[0].startswith("ignored: no app of shop")
    assert [one.commit for one in waiting(web)] == [SECOND]


def test_an_app_that_is_built_from_a_fork_is_deployed(github: Host, web: App) -> None:
    own = github_push()
    own["repository"]["fork"] = True
    assert said(github.send("push", own)) == ["deployed shop/web #1"]


def test_a_repository_that_was_renamed_is_known_by_its_number(github: Host, web: App) -> None:
    github.send("push", github_push(ref="refs/heads/other"))
    web.refresh_from_db()
    assert web.repository_id == "github:git.example.com:17"
    renamed = github_push(repository="halden/tidewater")
    assert said(github.send("push", renamed)) == ["deployed shop/web #1"]
    stranger = github_push(repository="halden/tidewater", number=18)
    assert said(github.send("push", stranger))[0].startswith("ignored: no app")


def test_a_number_of_another_host_is_another_one(github: Host, web: App) -> None:
    github.send("push", github_push())
    elsewhere = github_push(host="https://git.example.net", repository="mallory/web")
    assert said(github.send("push", elsewhere))[0].startswith("ignored: no app")


def test_another_repository_is_not_known_by_the_old_number(github: Host, web: App) -> None:
    github.send("push", github_push())
    web.refresh_from_db()
    app_update(app=web, repository="https://git.example.com/shop/next")
    assert web.repository_id == ""
    assert said(github.send("push", github_push()))[0].startswith("ignored: no app")


@pytest.mark.parametrize("kind", ["mist", "image"])
def test_what_is_not_fetched_from_a_host_is_not_deployed_by_one(
    kind: str, github: Host, web: App
) -> None:
    App.objects.update(source_kind=kind)
    assert said(github.send("push", github_push()))[0].startswith("ignored: no app")


def test_an_app_that_was_deleted_is_not_deployed(github: Host, web: App) -> None:
    App.objects.update(deleted_at="2026-01-01T00:00:00Z")
    assert said(github.send("push", github_push()))[0].startswith("ignored: no app")


def test_a_forced_push_is_as_good_as_any(github: Host, web: App) -> None:
    App.objects.update(watch_paths="docs")
    assert said(github.send("push", github_push(forced=True))) == ["deployed shop/web #1"]


def test_a_branch_that_is_deleted_deploys_nothing(github: Host, web: App) -> None:
    answer = github.send("push", github_push(after=NONE))
    assert said(answer) == ["ignored shop/web: the branch was deleted"]


def test_tags_of_the_pattern_deploy(github: Host, web: App) -> None:
    App.objects.update(tag_pattern="v*")
    tag = github_push(ref="refs/tags/v1.2", before=NONE)
    assert said(github.send("push", tag)) == ["deployed shop/web #1"]
    assert [(one.ref, one.commit) for one in waiting(web)] == [("v1.2", SECOND)]
    tag = github_push(ref="refs/tags/nightly", before=NONE)
    assert said(github.send("push", tag)) == ["ignored shop/web: tag nightly does not match v*"]


@pytest.mark.parametrize("words", ["[skip ci]", "[ci skip]", "[skip mist]"])
def test_who_says_so_in_the_commit_is_not_deployed(words: str, github: Host, web: App) -> None:
    answer = github.send("push", github_push(message=f"Mend a comma\n\n{words}"))
    assert said(answer) == [f"ignored shop/web: the commit says {words}"]


# ----------------------------------------------------------------------------------- rapid pushes


def test_of_rapid_pushes_the_newest_wins(fake: FakeEngine, github: Host, web: App) -> None:
    github.send("push", github_push(after=sha(1)))
    at_work = claim_next()
    assert at_work is not None and at_work.commit == sha(1)
    for number in range(2, 6):
        github.send("push", github_push(after=sha(number)))
    [newest] = waiting(web)
    assert (newest.number, newest.commit) == (5, sha(5))
    skipped = Deployment.objects.filter(status="skipped").order_by("id")
    assert [(one.commit, one.failure) for one in skipped] == [
        (sha(number), f"#{number + 1} took its place.") for number in range(2, 5)
    ]
    at_work.refresh_from_db()
    assert (at_work.status, at_work.cancel_requested_at) == (Status.CLONING, None)


def test_where_the_app_says_so_what_is_at_work_is_cancelled(
    fake: FakeEngine, github: Host, web: App
) -> None:
    App.objects.update(on_push="cancel")
    github.send("push", github_push(after=sha(1)))
    at_work = claim_next()
    assert at_work is not None
    github.send("push", github_push(after=sha(2)))
    pipeline.run(at_work)
    ended = Deployment.objects.get(pk=at_work.pk)
    assert (ended.status, ended.failure) == (Status.CANCELLED, "#2 took its place.")
    assert [one.commit for one in waiting(web)] == [sha(2)]


def test_a_rollback_at_work_goes_on(fake: FakeEngine, github: Host, web: App) -> None:
    App.objects.update(on_push="cancel")
    first = deploy(web)
    deploy(web)
    first.refresh_from_db()
    deployment_rollback(to=first, requested_by=None)
    at_work = claim_next()
    github.send("push", github_push())
    assert at_work is not None
    at_work.refresh_from_db()
    assert at_work.cancel_requested_at is None


def test_what_a_person_asked_for_is_skipped_only_where_the_push_brings_it(
    github: Host, alice: User, web: App
) -> None:
    branch = deployment_request(app=web, requested_by=alice)
    chosen = deployment_request(app=web, requested_by=alice, commit=sha(7))
    github.send("push", github_push())
    states = dict(Deployment.objects.values_list("number", "status"))
    assert states == {branch.number: "skipped", chosen.number: "queued", 3: "queued"}


def test_the_commit_that_is_on_its_way_is_not_deployed_twice(github: Host, web: App) -> None:
    github.send("push", github_push())
    answer = github.send("push", github_push())
    assert said(answer) == ["ignored shop/web: #1 deploys this commit already"]


def test_going_back_to_the_commit_at_work_deploys_it_after_what_waits(
    fake: FakeEngine, github: Host, web: App
) -> None:
    """A, B and, by force, A again: the last push counts."""
    for number in (1, 2, 1):
        github.send("push", github_push(after=sha(number)))
        claim_next()
    assert [one.commit for one in waiting(web)] == [sha(1)]


def test_a_commit_whose_deployment_is_being_cancelled_is_deployed_anew(
    fake: FakeEngine, github: Host, web: App
) -> None:
    github.send("push", github_push())
    at_work = claim_next()
    assert at_work is not None
    lifecycle.cancel(at_work, by=None)
    assert said(github.send("push", github_push())) == ["deployed shop/web #2"]


def test_what_goes_live_is_the_commit_of_the_event(
    fake: FakeEngine, github: Host, web: App
) -> None:
    pushed = fake.git.commit("Add a cart")
    fake.git.commit("Break everything")
    github.send("push", github_push(after=pushed.sha))
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    done = Deployment.objects.get()
    assert (done.status, done.commit, done.commit_message) == ("live", pushed.sha, "Add a cart")
    assert done.commit_url.endswith(f"/commit/{pushed.sha}")


# ------------------------------------------------------------------------------- for other parts

PUSH = Push((), RefKind.BRANCH, "main", SECOND, message="Add a cart\n\nWith wheels.")


def test_who_knows_the_app_asks_for_it_alone(alice: User, web: App) -> None:
    verdict = app_pushed(app=web, push=PUSH, trigger="push", requested_by=alice)
    assert verdict.words == "deployed shop/web #1"
    made = verdict.deployment
    assert made is not None
    assert (made.trigger, made.requested_by, made.commit_message) == ("push", alice, "Add a cart")


def test_a_repository_without_an_address_is_nobodys(web: App) -> None:
    App.objects.update(repository="")
    assert deploy_pushed(apps=App.objects.all(), push=PUSH) == []
