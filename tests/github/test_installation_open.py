"""Where a GitHub App is installed, and which projects may use it."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.projects.models import Project, ProjectRole
from apps.projects.services import project_create
from apps.sources.github import installations_open_to, offers_of
from apps.sources.github_services import app_create_from_github, installations_sync
from apps.sources.models import GitHubApp, Installation
from tests.github.api import GitHubHost
from tests.github.conftest import member

HERE = "/settings/github/"
PICK = "/projects/shop/new-app/github/"


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def test_installations_are_found_suspended_and_gone_as_github_says(
    near: GitHubHost, github_app: GitHubApp
) -> None:
    near.install(1, "halden")
    near.install(2, "tidewater")
    assert installations_sync(github_app=github_app) == 2
    near.installations[0]["suspended_at"] = "2026-01-02T03:04:05Z"
    del near.installations[1]
    assert installations_sync(github_app=github_app) == 1
    halden, tidewater = Installation.objects.order_by("account")
    assert halden.suspended_at is not None and halden.removed_at is None
    assert tidewater.removed_at is not None and tidewater.suspended_at is None
    near.installations[0]["suspended_at"] = None
    installations_sync(github_app=github_app)
    halden.refresh_from_db()
    assert halden.suspended_at is None
    actions = AuditEvent.objects.filter(action__startswith="installation.").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        *("installation.add", "installation.add"),
        *("installation.suspend", "installation.remove", "installation.resume"),
    ]


def test_who_installs_it_again_finds_projects_and_apps_as_they_were(
    near: GitHubHost, github_app: GitHubApp, halden: Installation, shop: Project
) -> None:
    near.repository(1, 7, "halden/web")
    found = offers_of([halden])[0][0].repository
    app_create_from_github(
        project=shop, installation=halden, repository=found, created_by=None, slug="api"
    )
    near.installations.clear()
    installations_sync(github_app=github_app)
    near.install(99, "halden")
    installations_sync(github_app=github_app)
    again = Installation.objects.get()
    assert (again.pk, again.installation_id, again.removed_at) == (halden.pk, 99, None)
    assert again.projects.get() == shop and again.links.get().repository_id == 7


def test_the_way_back_from_installing_asks_github_and_believes_no_address(
    inside: Client, near: GitHubHost, github_app: GitHubApp
) -> None:
    near.install(1, "halden")
    where = f"{HERE}installed/{github_app.public_id}/?installation_id=666&setup_action=install"
    page = inside.get(where, follow=True).content.decode()
    assert "is installed in 1 account" in page
    assert Installation.objects.get().installation_id == 1
    assert inside.get(f"{HERE}installed/another/").status_code == 404


def test_a_github_that_is_away_is_a_message(
    inside: Client, near: GitHubHost, github_app: GitHubApp
) -> None:
    near.is_down = True
    page = inside.post(f"{HERE}{github_app.pk}/refresh/", follow=True).content.decode()
    assert "has a problem of its own" in page


def test_an_admin_says_which_projects_use_it(
    inside: Client, halden: Installation, shop: Project, alice: User
) -> None:
    depot = project_create(slug="depot", created_by=alice)
    where = f"{HERE}installations/{halden.pk}/projects/"
    inside.post(where, {"projects": [depot.pk]})
    assert list(halden.projects.all()) == [depot]
    assert not installations_open_to(shop).exists()
    event = AuditEvent.objects.get(action="installation.open")
    assert (event.before, event.after) == ({"projects": "shop"}, {"projects": "depot"})
    inside.post(where, {"projects": [depot.pk]})
    assert AuditEvent.objects.filter(action="installation.open").count() == 1
    inside.post(where, {"projects": [12345]})
    assert list(halden.projects.all()) == [depot]


def test_repositories_exist_for_developers_of_open_projects_alone(
    near: GitHubHost, halden: Installation, shop: Project, alice: User
) -> None:
    near.repository(1, 7, "halden/secret-plans")
    depot = project_create(slug="depot", created_by=alice)
    chosen = f"?installation={halden.pk}&repository=7"
    for name, project, role, seen in (
        ("dora", shop, ProjectRole.DEVELOPER, 200),
        ("viktor", shop, ProjectRole.VIEWER, 403),
        ("eve", depot, ProjectRole.ADMIN, 404),
    ):
        client = Client()
        client.force_login(member(project, name, role))
        for path in (PICK, f"{PICK}{chosen}"):
            answer = client.get(path)
            assert answer.status_code == seen, name
            assert ("secret-plans" in answer.content.decode()) is (seen == 200)
    # In the other project there is no way to them, not even for an admin of the instance.
    client = Client()
    client.force_login(alice)
    there = "/projects/depot/new-app/github/"
    assert "secret-plans" not in client.get(there).content.decode()
    assert client.get(f"{there}{chosen}").status_code == 404
    assert client.post(f"{there}{chosen}", {"slug": "x", "branch": "main"}).status_code == 404


def test_a_suspended_or_removed_installation_offers_nothing(
    inside: Client, near: GitHubHost, github_app: GitHubApp, halden: Installation
) -> None:
    near.repository(1, 7, "halden/web")
    assert "halden/web" in inside.get(PICK).content.decode()
    near.installations[0]["suspended_at"] = "2026-01-02T03:04:05Z"
    installations_sync(github_app=github_app)
    page = html.unescape(inside.get(PICK).content.decode())
    assert "No GitHub account is open to shop" in page
