"""What opens an app's repository on GitHub, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments import pipeline
from apps.deployments.models import Status
from apps.deployments.services import deployment_rollback
from apps.deployments.tasks import claim_next
from apps.engine.errors import CloneFailed
from apps.engine.fake import FakeEngine
from apps.engine.github_tokens import tokens
from apps.projects.models import App, Project
from apps.sources.access import git_access
from apps.sources.github import offers_of
from apps.sources.github_services import app_create_from_github, installation_open
from apps.sources.models import GitHubApp, Installation
from tests.deployments.test_deployment_run import deploy
from tests.github.api import GitHubHost


@pytest.fixture
def api(
    fake: FakeEngine, near: GitHubHost, halden: Installation, shop: Project, alice: User
) -> App:
    near.repository(1, 7, "halden/api")
    near.repository(1, 8, "halden/secret")
    offer = offers_of([halden])[0][0]
    return app_create_from_github(
        project=shop,
        installation=halden,
        repository=offer.repository,
        created_by=alice,
        slug="api",
        port=8000,
    )


def failure_of(app: App) -> str:
    tokens.clear()
    app.refresh_from_db()
    done = deploy(app)
    assert done.status == Status.FAILED and done.failed_stage == Status.CLONING
    return f"{done.failure} {done.failure_hint}"


def test_a_clone_gets_a_token_for_that_repository_alone(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    assert deploy(api).status == Status.LIVE
    access = fake.git.accesses[-1]
    assert access is not None and access.username == "x-access-token"
    issued = near.tokens[access.password]
    assert issued.permissions == {"contents": "read", "metadata": "read"}
    assert issued.repositories == [7]
    assert access.password not in repr(access)


def test_the_token_is_nowhere_in_the_database_or_the_log(
    fake: FakeEngine, near: GitHubHost, api: App, data_dir: Path
) -> None:
    done = deploy(api)
    access = fake.git.accesses[-1]
    assert access is not None
    log = (data_dir / "logs" / f"{done.pk}.log").read_text()
    assert "Cloning" in log and access.password not in log
    assert access.password not in str(list(AuditEvent.objects.values()))
    assert access.password not in str(type(done).objects.values().get(pk=done.pk))


def test_a_suspended_installation_fails_the_deployment_with_what_to_do(
    near: GitHubHost, api: App
) -> None:
    near.installations[0]["suspended_at"] = "2026-01-02T03:04:05Z"
    words = failure_of(api)
    assert "The installation of the GitHub App Mist of Halden in halden is suspended." in words
    assert "An owner of the account can end that on GitHub" in words


def test_an_installation_that_is_gone_fails_it_too(near: GitHubHost, api: App) -> None:
    near.installations.clear()
    assert "is not installed in halden any more" in failure_of(api)


def test_a_repository_that_was_taken_from_the_app_is_named(near: GitHubHost, api: App) -> None:
    near.repositories[1] = near.repositories[1][1:]
    words = failure_of(api)
    assert "may not read halden/api" in words and "in the settings of halden" in words


def test_a_project_that_may_not_use_the_account_any_more_gets_nothing(
    near: GitHubHost, api: App, halden: Installation
) -> None:
    installation_open(installation=halden, projects=[])
    before = len(near.tokens)
    assert "halden is not open to the project any more" in failure_of(api)
    assert len(near.tokens) == before


def test_an_app_whose_github_app_was_deleted_says_so(
    near: GitHubHost, api: App, github_app: GitHubApp
) -> None:
    github_app.delete()
    assert "Choose the repository again on the app's page Source" in failure_of(api)


@pytest.mark.parametrize(
    "url", ["https://evil.example/halden/api.git", "{host}/halden/secret.git", "{host}/halden/api"]
)
def test_a_token_goes_to_no_other_address(near: GitHubHost, api: App, url: str) -> None:
    App.objects.filter(pk=api.pk).update(repository=url.format(host=near.url))
    api.refresh_from_db()
    with pytest.raises(CloneFailed, match="is not that of the repository that was chosen"):
        git_access(api)


def test_a_repository_with_another_name_is_cloned_under_that(
    fake: FakeEngine, near: GitHubHost, api: App
) -> None:
    near.repositories[1][0] |= {"full_name": "halden/gateway", "old_names": ["halden/api"]}
    tokens.clear()
    done = deploy(api)
    assert done.status == Status.LIVE
    api.refresh_from_db()
    assert api.repository == f"{near.url}/halden/gateway.git"
    assert api.github.full_name == "halden/gateway"
    event = AuditEvent.objects.filter(action="app.update").get()
    assert event.after == {"repository": api.repository}
    # It is what was deployed: nothing waits to be applied.
    assert done.made_from is not None
    assert done.made_from["settings"]["repository"] == api.repository


def test_a_rollback_needs_no_github(fake: FakeEngine, near: GitHubHost, api: App) -> None:
    first = deploy(api)
    fake.git.commit("Second version")
    deploy(api)
    near.is_down = True
    tokens.clear()
    first.refresh_from_db()
    deployment_rollback(to=first, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    claimed.refresh_from_db()
    assert claimed.status == Status.LIVE
