"""Pages with many rows ask the database no more often than pages with few, and stay small."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.deployments.changes import record
from apps.deployments.models import Deployment, Status
from apps.domains.models import Domain
from apps.engine.base import Engine
from apps.projects.models import App, EnvironmentVariable, Project, address_label
from apps.projects.services import variables_save
from tests.system.test_page_access import every_url

A = "/projects/shop/apps/web/"
QUERIES = 8
BYTES = 100_000
LISTS = [
    "/",
    "/projects/",
    "/projects/shop/",
    "/deployments/",
    "/search/?q=a",
    "/search/?q=deploy+web",
    "/palette/?q=a",
    "/palette/?recent=/projects/shop/apps/web/",
    A,
    f"{A}deployments/",
    f"{A}environment/",
    f"{A}domains/",
    f"{A}traffic/",
]
STATUSES = (Status.RETIRED, Status.FAILED, Status.CANCELLED, Status.SKIPPED)


@pytest.fixture
def inside(client: Client, alice: User, web: App, engine: Engine) -> Client:
    client.force_login(alice)
    return client


def grow(web: App, alice: User, begin: int, end: int) -> None:
    """Rows number `begin` to `end` of everything that is listed."""
    numbers = range(begin, end)
    projects = Project.objects.bulk_create(
        Project(slug=f"area-{n}", created_by=alice) for n in numbers
    )
    App.objects.bulk_create(
        App(
            project=project,
            slug=f"app-{n}",
            label=address_label(project.slug, f"app-{n}"),
            repository="https://git.example.com/a.git",
            observed=App.Observed.values[n % 5],
        )
        for n in numbers
        for project in (web.project, projects[n - begin])
    )
    variables_save(app=web, values={f"V{n}": "x" for n in numbers}, changed_by=alice)
    Domain.objects.bulk_create(
        Domain(app=web, host=f"d{n}.example.com", created_by=alice) for n in numbers
    )
    Deployment.objects.bulk_create(
        Deployment(
            app=app,
            number=n + 1,
            ref="main",
            status=STATUSES[n % len(STATUSES)],
            requested_by=alice,
            commit=f"{n:040x}",
            commit_message=f"Change {n}",
        )
        for app in [web, *App.objects.filter(slug__in=[f"app-{n}" for n in numbers])]
        for n in numbers
    )


def count(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as found:
        assert client.get(path).status_code == 200
    return len(found)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_asks_as_often_for_many_rows_as_for_few(
    inside: Client, web: App, alice: User, path: str
) -> None:
    grow(web, alice, 0, 3)
    few = count(inside, path)
    grow(web, alice, 3, 60)
    assert count(inside, path) == few
    assert few <= QUERIES


def test_no_page_asks_more_often_than_it_may(inside: Client, web: App, alice: User) -> None:
    grow(web, alice, 0, 12)
    Deployment.objects.create(
        app=web, number=99, ref="main", status=Status.LIVE, made_from=record(web, [])
    )
    EnvironmentVariable.objects.update(changed_by=alice)
    asked = {
        path: count(inside, path)
        for name, path in every_url()
        if name != "sample_repository" and inside.get(path).status_code == 200
    }
    assert len(asked) > 15
    assert {path: times for path, times in asked.items() if times > QUERIES} == {}


@pytest.mark.parametrize("path", ["environment/", "environment/?edit={pk}", ""])
def test_the_page_of_an_app_with_127_variables_is_small(
    inside: Client, web: App, alice: User, path: str
) -> None:
    values = {f"A_RATHER_LONG_VARIABLE_NAME_{n:03}": "value" * 50 for n in range(127)}
    Deployment.objects.create(
        app=web, number=1, ref="main", status=Status.LIVE, made_from=record(web, [])
    )
    variables_save(app=web, values=values, changed_by=alice)
    answer = inside.get(A + path.format(pk=web.variables.first().pk))  # type: ignore[union-attr]
    assert "127 changes not live yet" in answer.content.decode()
    assert len(answer.content) < BYTES
