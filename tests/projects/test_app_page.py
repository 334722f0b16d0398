"""The page of one app: what it says, who may see it, how cheap it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.deployments.models import Deployment, Status
from apps.deployments.queueing import next_number
from apps.deployments.services import deployment_request
from apps.domains.services import domain_add
from apps.projects.models import App
from apps.projects.services import variables_save

A = "/projects/shop/apps/web/"
PAGES = [
    A,
    f"{A}deployments/",
    f"{A}logs/",
    f"{A}environment/",
    f"{A}domains/",
    f"{A}settings/",
    f"{A}deployments/1/",
    "/deployments/",
]
SECRET = "value-that-nobody-may-see"


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def make_deployment(app: App, status: str, **fields: object) -> Deployment:
    number = next_number(app)
    now = timezone.now()
    defaults: dict[str, object] = {
        "ref": "main",
        "commit": f"{number:040x}",
        "port": 8000,
        "commit_message": f"Change {number}",
        "started_at": now - timedelta(seconds=30),
        "finished_at": now,
    }
    return Deployment.objects.create(app=app, number=number, status=status, **defaults | fields)


@pytest.mark.parametrize("path", PAGES)
def test_it_is_closed_to_who_is_not_logged_in(client: Client, web: App, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/")


@pytest.mark.parametrize("path", PAGES[:-1])
def test_it_knows_no_app_of_another_name(inside: Client, web: App, path: str) -> None:
    deployment_request(app=web, requested_by=None)
    assert inside.get(path).status_code == 200
    assert inside.get(path.replace("/web/", "/other/")).status_code == 404
    assert inside.get(path.replace("/shop/", "/other/")).status_code == 404


@pytest.mark.parametrize("path", PAGES[:-1])
def test_a_deleted_app_is_gone_from_every_page(inside: Client, web: App, path: str) -> None:
    deployment_request(app=web, requested_by=None)
    App.objects.filter(pk=web.pk).update(deleted_at=timezone.now())
    assert inside.get(path).status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_it_takes_no_more_than_eight_queries(
    inside: Client,
    web: App,
    engine: object,
    path: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    make_deployment(web, Status.LIVE)
    for _ in range(8):
        make_deployment(web, Status.FAILED, failure="It broke.", requested_by=User.objects.get())
    deployment_request(app=web, requested_by=User.objects.get())
    variables_save(app=web, values={f"V{n}": "x" for n in range(20)}, changed_by=None)
    for n in range(5):
        domain_add(app=web, host=f"d{n}.example.com", created_by=None)
    with django_assert_max_num_queries(8):
        assert inside.get(path).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_it_never_holds_a_hidden_value(inside: Client, web: App, engine: object, path: str) -> None:
    variables_save(app=web, values={"TOKEN": SECRET}, changed_by=None)
    make_deployment(web, Status.LIVE)
    for headers in ({}, {"HX-Request": "true"}):
        answer = inside.get(path, headers=headers)
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode()


def test_it_offers_the_first_deployment(inside: Client, web: App) -> None:
    page = inside.get(A).content.decode()
    assert "Deploy web for the first time" in page
    assert "Live now" not in page
    assert "Restart" not in page


def test_it_says_what_failed_and_what_still_serves(inside: Client, web: App) -> None:
    make_deployment(web, Status.LIVE)
    make_deployment(
        web, Status.FAILED, failure="Build step 4 failed.", failure_hint="Look at <line> 12."
    )
    page = inside.get(A).content.decode()
    assert "Build step 4 failed." in page
    assert "Look at &lt;line&gt; 12." in page
    assert "#1 still serves" in page


def test_a_failure_before_the_newest_success_is_not_news(inside: Client, web: App) -> None:
    make_deployment(web, Status.FAILED, failure="Build step 4 failed.")
    make_deployment(web, Status.LIVE)
    assert "Deployment #1 failed" not in inside.get(A).content.decode()


def test_it_names_the_live_commit_when_many_failures_followed(inside: Client, web: App) -> None:
    make_deployment(web, Status.LIVE, commit="c0ffee" + "0" * 34)
    for _ in range(6):
        make_deployment(web, Status.FAILED)
    page = inside.get(A).content.decode()
    assert "Live now" in page
    assert "c0ffee0" in page


def test_it_leads_to_the_deployment_at_work(inside: Client, web: App) -> None:
    make_deployment(web, Status.BUILDING)
    page = inside.get(A).content.decode()
    assert f"{A}deployments/1/" in page
    assert "Watch the build" in page


def test_it_answers_htmx_with_the_part_that_changes(inside: Client, web: App) -> None:
    answer = inside.get(A, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert "<html" not in page
    assert 'id="app-head"' in page and 'id="app-overview"' in page
    assert "HX-Request" in answer["Vary"]


@pytest.mark.parametrize(
    ("observed", "wanted", "there", "absent"),
    [
        ("running", "running", ["restart/"], ["start/"]),
        ("stopped", "stopped", ["start/"], ["restart/"]),
    ],
)
def test_it_offers_what_can_be_done(
    inside: Client, web: App, observed: str, wanted: str, there: list[str], absent: list[str]
) -> None:
    App.objects.filter(pk=web.pk).update(observed=observed, wanted=wanted)
    page = inside.get(A).content.decode()
    assert all(f'action="{A}{path}"' in page for path in there)
    assert not any(f'action="{A}{path}"' in page for path in absent)
    assert (f'href="{A}stop/"' in page) is (wanted == "running")
