"""What GitHub says about installations and names is taken up, in whatever order it comes."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounts.models import User
from apps.projects.models import App, Project
from apps.sources.github import offers_of
from apps.sources.github_events import github_told
from apps.sources.github_services import app_create_from_github
from apps.sources.models import GitHubApp, Installation
from tests.github.api import GitHubHost


def installation(action: str, number: int = 5, suspended_at: str | None = None) -> dict[str, Any]:
    return {
        "action": action,
        "installation": {
            "id": number,
            "account": {"login": "tidewater", "id": 9},
            "target_type": "Organization",
            "suspended_at": suspended_at,
        },
    }


def told(github_app: GitHubApp, payload: dict[str, Any], event: str = "installation") -> str:
    return github_told(github_app=github_app, event=event, payload=payload)


def test_installing_suspending_and_removing_are_heard(github_app: GitHubApp) -> None:
    assert told(github_app, installation("created")) == "the installation in tidewater is there"
    row = Installation.objects.get()
    assert (row.installation_id, row.account, row.suspended_at) == (5, "tidewater", None)
    at = "2026-01-02T03:04:05Z"
    assert "is suspended" in told(github_app, installation("suspend", suspended_at=at))
    row.refresh_from_db()
    assert row.suspended_at is not None
    told(github_app, installation("unsuspend"))
    row.refresh_from_db()
    assert row.suspended_at is None
    assert "is gone" in told(github_app, installation("deleted"))
    row.refresh_from_db()
    assert row.removed_at is not None


def test_old_news_bring_no_removed_installation_back(github_app: GitHubApp) -> None:
    told(github_app, installation("created"))
    told(github_app, installation("deleted"))
    assert "was gone already" in told(github_app, installation("created"))
    assert Installation.objects.get().removed_at is not None


def test_an_installation_is_open_to_no_project_by_itself(
    github_app: GitHubApp, shop: Project
) -> None:
    told(github_app, installation("created"))
    assert not Installation.objects.get().projects.exists()


@pytest.fixture
def api(near: GitHubHost, halden: Installation, shop: Project, alice: User) -> App:
    near.repository(1, 7, "halden/api")
    [offer] = offers_of([halden])[0]
    return app_create_from_github(
        project=shop,
        installation=halden,
        repository=offer.repository,
        created_by=alice,
        slug="api",
    )


def test_another_name_is_taken_up_by_the_repositorys_number(
    near: GitHubHost, github_app: GitHubApp, api: App, web: App
) -> None:
    payload = {"repository": {"id": 7, "full_name": "halden/gateway"}, "ref": "refs/heads/main"}
    assert told(github_app, payload, "push") == "shop/api follows the repository to halden/gateway"
    api.refresh_from_db()
    assert api.repository == f"{near.url}/halden/gateway.git"
    assert api.github.full_name == "halden/gateway"
    assert told(github_app, payload, "push") == ""
    before = web.repository
    web.refresh_from_db()
    assert web.repository == before


def test_another_apps_news_rename_nothing(github_app: GitHubApp, api: App) -> None:
    other = GitHubApp.objects.create(name="Other", app_id=2, slug="other", public_id="o")
    payload = {"repository": {"id": 7, "full_name": "evil/api"}}
    assert told(other, payload, "push") == ""
    api.refresh_from_db()
    assert api.github.full_name == "halden/api"


@pytest.mark.parametrize(
    "payload",
    [
        *({}, {"repository": None}, {"repository": {"id": "7", "full_name": "a/b"}}),
        *({"repository": {"id": 7, "full_name": "../../x"}}, {"repository": {"id": 2**70}}),
        *({"repository": {"id": True, "full_name": "a/b"}}, {"installation": 5}),
        *(
            {"installation": {"id": "x"}},
            {"installation": {"id": 2**70, "account": {"login": "a"}}},
        ),
    ],
)
def test_a_payload_of_another_form_does_nothing(
    github_app: GitHubApp, api: App, payload: dict[str, Any]
) -> None:
    for event in ("push", "installation", "repository"):
        assert told(github_app, payload, event) == ""
    assert Installation.objects.count() == 1
    api.refresh_from_db()
    assert api.github.full_name == "halden/api"
