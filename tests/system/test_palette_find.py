"""The command palette and the search page: what is found, by whom, and how cheaply."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.deployments.models import Deployment, Status
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from apps.system import search

A = "/projects/shop/apps/web/"
Lines = dict[str, list[str]]


def deployment(app: App, number: int, message: str = "", **fields: Any) -> Deployment:
    fields = {"ref": "main", "status": Status.RETIRED, "commit": f"{number:x}" * 40} | fields
    return Deployment.objects.create(
        app=app, number=number, commit_message=message, **fields | {"commit": fields["commit"][:40]}
    )


@pytest.fixture
def api(shop: Project, alice: User) -> App:
    api = app_create(
        project=shop, slug="api", repository="https://git.example.com/x.git", created_by=alice
    )
    App.objects.filter(pk=api.pk).update(observed="running")
    return App.objects.select_related("project").get(pk=api.pk)


def find(user: User, query: str, here: str = "") -> Lines:
    found = search.find(user, query, most=6, active={}, here=here)
    return {name: [item.text for item in items] for name, items in found.groups}


def test_it_finds_apps_by_any_part_the_best_first(alice: User, web: App, api: App) -> None:
    other = project_create(slug="web-tools", created_by=alice)
    app_create(project=other, slug="cli", repository="https://e.example/r", created_by=alice)
    assert find(alice, "web")["Apps"] == ["shop / web", "web-tools / cli"]
    assert find(alice, "SHOP/Web")["Apps"] == ["shop / web"]
    assert find(alice, "x.git")["Apps"] == ["shop / api"]
    assert find(alice, "web")["Projects"] == ["web-tools"]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("#12", [12]),
        ("12", [12]),
        ("#12 web", [12]),
        ("#12 api", []),
        ("cccccc", [12]),
        ("c" * 40, [12]),
        ("refund keys", [3]),
        ("REFUND", [3]),
        ("refund zebra", []),
        ("web", [12, 3]),
    ],
)
def test_it_finds_deployments_by_number_commit_and_message(
    alice: User, web: App, api: App, query: str, numbers: list[int]
) -> None:
    deployment(web, 3, "Add keys to refunds")
    deployment(web, 12, "Retry")
    lines = find(alice, query).get("Deployments", [])
    assert [int(line.split()[0].removeprefix("#")) for line in lines] == numbers


def test_it_offers_what_can_be_done_with_the_app(alice: User, web: App, api: App) -> None:
    commands = find(alice, "api")["Commands"]
    assert {"Deploy shop / api", "Restart shop / api", "Stop shop / api"} <= set(commands)
    assert "Deploy shop / web" in find(alice, "web")["Commands"]
    assert "Restart shop / web" not in find(alice, "web")["Commands"]


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("deploy api", ["Deploy shop / api"]),
        ("api logs", ["Open logs of shop / api"]),
        ("env api", ["Edit environment of shop / api"]),
        ("stop api", ["Stop shop / api"]),
        ("restart", ["Restart shop / api"]),
    ],
)
def test_it_understands_a_command_and_an_app(
    alice: User, web: App, api: App, query: str, lines: list[str]
) -> None:
    found = search.find(alice, query, most=6, active={}, here="/projects/shop/apps/api/logs/")
    name, items = found.groups[0]
    assert (name, [item.text for item in items]) == ("Commands", lines)


def test_what_acts_is_sent_and_what_is_dangerous_asks_first(alice: User, api: App) -> None:
    by_text = {
        item.text: item
        for query in ("deploy api", "stop api", "logs api")
        for _, items in search.find(alice, query, most=6, active={}).groups[:1]
        for item in items
    }
    assert (by_text["Deploy shop / api"].posts, by_text["Deploy shop / api"].asks) == (True, False)
    assert (by_text["Stop shop / api"].posts, by_text["Stop shop / api"].asks) == (False, True)
    logs = by_text["Open logs of shop / api"]
    assert not logs.posts and not logs.asks and logs.href == "/projects/shop/apps/api/logs/"


def test_nobody_finds_what_they_may_not_see(web: App, alice: User) -> None:
    deployment(web, 12, "Retry")
    stranger = User(email="charlie@example.com", is_active=False)
    for user in (stranger, AnonymousUser()):
        for query in ("web", "shop", "#12", "retry", "deploy web", "cccccccc"):
            assert search.find(user, query, most=6, active={}).groups == []  # type: ignore[arg-type]
    App.objects.update(deleted_at=web.created_at)
    assert find(alice, "web") == find(alice, "#12") == find(alice, "retry") == {}


def test_before_anything_is_typed_it_shows_where_one_was_lately(
    alice: User, web: App, api: App
) -> None:
    deployment(web, 12, "Retry")
    recent = [
        f"{A}deployments/12/",
        "/projects/shop/apps/api/logs/",
        "/projects/shop/",
        "/deployments/",
        "/projects/gone/apps/web/",
        f"{A}deployments/99/",
        "/nonsense",
        A,
    ]
    found = search.suggest(alice, active={}, recent=recent, here=A)
    lines = {name: [item.text for item in items] for name, items in found.groups}
    assert lines["Recent"] == [
        "#12 shop / web: Retry",
        "shop / api, Logs",
        "shop",
        "Deployments",
    ]
    assert lines["Commands"][0] == "Deploy shop / web"
    assert "Account" in lines["Pages"]
    assert found.groups[0][0] == "Recent"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "a",
        "app",
        "#1",
        "1",
        "deploy app",
        "cafe",
        "change 1",
        "a b c d e f g h",
        "%",
        "\0",
        "é",
    ],
)
@pytest.mark.parametrize("path", ["/palette/", "/search/"])
def test_it_asks_a_bounded_number_of_times(
    client: Client,
    alice: User,
    query: str,
    path: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for p in range(3):
        project = project_create(slug=f"project-{p}", created_by=alice)
        for a in range(4):
            app = app_create(
                project=project, slug=f"app-{a}", repository="https://e.example/r", created_by=alice
            )
            deployment(app, 1, "Change 1", status=Status.QUEUED)
    client.force_login(alice)
    recent = [f"/projects/project-1/apps/app-{a}/deployments/1/" for a in range(4)]
    here = "/projects/project-1/apps/app-1/"
    with django_assert_max_num_queries(8):
        answer = client.get(path, {"q": query, "recent": [*recent, "/projects/"], "here": here})
    assert answer.status_code == 200


def test_words_are_marked_and_nothing_is_markup(client: Client, alice: User, web: App) -> None:
    deployment(web, 12, "Retry <b>web</b>hooks")
    client.force_login(alice)
    part = client.get("/palette/", {"q": "web"}).content.decode()
    assert "<html" not in part
    assert "shop / <mark>web</mark>" in part
    assert "Retry &lt;b&gt;<mark>web</mark>&lt;/b&gt;hooks" in part
    part = client.get("/palette/", {"q": "<script>"}).content.decode()
    assert "<script>" not in part and "Nothing matches" in part


def test_the_search_page_shows_the_same_without_scripts(
    client: Client, alice: User, api: App
) -> None:
    deployment(api, 12, "Retry", commit="c")
    client.force_login(alice)
    page = client.get("/search/", {"q": "api"}).content.decode()
    part = client.get("/palette/", {"q": "api"}).content.decode()
    for text in ("Retry", "Open logs of shop", "Edit environment of shop"):
        assert text in page and text in part
    assert f'action="{reverse("app_deploy", args=["shop", "api"])}"' in page
    assert 'role="option"' in part


def test_each_page_has_the_trigger_as_a_link(client: Client, alice: User) -> None:
    client.force_login(alice)
    page = client.get("/account/").content.decode()
    assert 'href="/search/" data-search' in page and 'id="palette"' in page
