"""The dashboard, lists, search and error pages."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.api.services import token_create
from apps.deployments.models import Deployment, Status
from apps.projects.access import EVERYBODY, allow
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from mist_project import urls

QUERIES = 8
STATES = ["none", "running", "unhealthy", "crashed", "stopped"]


@pytest.fixture
def full(alice: User, client: Client) -> Client:
    """Logged in, with several projects, apps and deployments."""
    statuses = [Status.LIVE, Status.FAILED, Status.QUEUED, Status.BUILDING]
    for p in range(4):
        project = project_create(slug=f"project-{p}", created_by=alice)
        for a in range(p * 3):
            app = app_create(
                project=project,
                slug=f"app-{a}",
                repository="https://git.example.com/halden/tidewater.git",
                created_by=alice,
            )
            app.observed = STATES[a % 5]
            app.save()
            Deployment.objects.create(
                app=app, number=1, ref="main", requested_by=alice, status=statuses[a % 4]
            )
    for _ in range(20):
        token_create(user=alice, name="CI", scopes=(), project=project)
    client.force_login(alice)
    return client


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/projects/",
        "/projects/project-3/",
        "/projects/project-0/",
        "/projects/project-3/new-app/",
        "/new-project/",
        "/search/?q=app",
        "/account/",
        "/account/tokens/",
        "/tokens/",
    ],
)
def test_it_asks_the_database_a_bounded_number_of_times(
    full: Client, django_assert_max_num_queries: DjangoAssertNumQueries, url: str
) -> None:
    with django_assert_max_num_queries(QUERIES):
        answer = full.get(url)
    assert answer.status_code == 200


def test_it_shows_apps_that_need_a_look_first(full: Client) -> None:
    text = full.get("/").content.decode()
    cards = text[text.index('id="projects-h"') :]
    links = cards.split('href="/projects/project-3/apps/')[1:5]
    assert [link.split("/")[0] for link in links] == ["app-2", "app-3", "app-7", "app-8"]
    assert "and 4 more" in text


def test_it_finds_projects_and_apps_by_any_part(full: Client) -> None:
    text = full.get("/search/?q=project-2/app-1").content.decode()
    assert "project-2 / app-1" in text
    assert "project-1 / app-1" not in text
    assert "Nothing matches" in full.get("/search/?q=zebra%00").content.decode()
    assert "<script>" not in full.get("/search/?q=<script>").content.decode()


def test_it_does_not_show_an_app_that_is_being_deleted(
    client: Client, web: App, alice: User
) -> None:
    client.force_login(alice)
    App.objects.update(deleted_at=web.created_at)
    for url in ("/", "/projects/shop/", "/search/?q=web"):
        assert "/apps/web/" not in client.get(url).content.decode()


def test_it_takes_the_theme_from_the_cookie(client: Client, db: None) -> None:
    assert '<html lang="en">' in client.get("/login/").content.decode()
    client.cookies["mist_theme"] = "dark"
    assert '<html lang="en" class="dark">' in client.get("/login/").content.decode()


def test_it_sends_no_inline_script_or_style(full: Client) -> None:
    for url in ("/", "/projects/project-3/", "/projects/project-3/new-app/", "/account/"):
        answer = full.get(url)
        text = answer.content.decode()
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert " style=" not in text
        assert " onclick=" not in text
        assert "<script>" not in text


@allow(EVERYBODY)
def _explode(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the-secret-reason")


@allow(EVERYBODY)
def _locked(request: HttpRequest) -> HttpResponse:
    raise OperationalError("database is locked")


class WithBroken:
    urlpatterns = [
        *urls.urlpatterns,
        path("broken/", _explode),
        path("locked/", _locked),
    ]
    handler500 = urls.handler500


@override_settings(ROOT_URLCONF=WithBroken)
def test_it_shows_no_traceback_when_something_breaks(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.raise_request_exception = False
    answer = client.get("/broken/")
    text = answer.content.decode()
    assert answer.status_code == 500
    assert "Something went wrong in Mist" in text
    assert "Traceback" not in text
    assert "the-secret-reason" not in text


@override_settings(ROOT_URLCONF=WithBroken)
def test_it_says_when_the_database_does_not_answer(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.raise_request_exception = False
    answer = client.get("/locked/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Your apps keep running" in answer.content.decode()


def test_it_says_what_is_not_there(client: Client, alice: User, shop: Project) -> None:
    client.force_login(alice)
    for url in ("/nope/", "/projects/none/", "/projects/none/new-app/"):
        answer = client.get(url)
        assert answer.status_code == 404
        assert "This page is not here" in answer.content.decode()


def test_it_explains_a_form_that_did_not_come_from_its_own_page(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post("/new-project/", {"slug": "shop"})
    assert answer.status_code == 403
    assert "This form is too old" in answer.content.decode()
    assert not Project.objects.exists()


@pytest.mark.parametrize("url", ["/demo/", "/logout/"])
def test_it_changes_nothing_on_a_get(client: Client, alice: User, shop: Project, url: str) -> None:
    client.force_login(alice)
    assert client.get(url).status_code == 405
