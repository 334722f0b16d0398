"""Changed settings and variables on the app's pages, and the one button that applies them."""

from __future__ import annotations

from typing import cast

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.deployments import pipeline
from apps.deployments.models import Deployment, Status
from apps.deployments.services import changes_apply, deployment_request
from apps.deployments.tasks import claim_next
from apps.domains.services import domain_add
from apps.engine.base import Engine
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_update, variable_delete, variables_save

A = "/projects/shop/apps/web/"
TABS = [A, f"{A}deployments/", f"{A}logs/", f"{A}environment/", f"{A}domains/", f"{A}settings/"]
SECRET = "value-that-nobody-may-see"
NOTICE = "not live yet"


@pytest.fixture
def fake(engine: Engine) -> FakeEngine:
    return cast(FakeEngine, engine)


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def work() -> Deployment:
    """Carry out the next deployment."""
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


@pytest.fixture
def live(fake: FakeEngine, web: App) -> Deployment:
    variables_save(app=web, values={"API_KEY": SECRET, "OLD": "1"}, changed_by=None)
    deployment_request(app=web, requested_by=None)
    return work()


def change(web: App) -> None:
    app_update(app=web, memory_mb=1024)
    variables_save(app=web, values={"API_KEY": "other", "GREETING": "hi"}, changed_by=None)
    variable_delete(variable=web.variables.get(name="OLD"))


def test_a_deployment_records_what_it_is_made_from_and_no_value(live: Deployment) -> None:
    assert live.made_from is not None
    assert live.made_from["settings"]["memory_mb"] == 512
    assert set(live.made_from["variables"]) == {"API_KEY", "OLD"}
    assert SECRET not in str(live.made_from)


@pytest.mark.parametrize("path", TABS)
def test_every_tab_is_silent_when_all_is_live(inside: Client, live: Deployment, path: str) -> None:
    assert NOTICE not in inside.get(path).content.decode()


@pytest.mark.parametrize("path", TABS)
def test_every_tab_says_what_is_not_live(
    inside: Client,
    live: Deployment,
    web: App,
    path: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    change(web)
    for number in range(6):
        Deployment.objects.create(app=web, number=100 + number, ref="main", status=Status.FAILED)
    domain_add(app=web, host="shop.example.com", created_by=None)
    # One more than an app's pages have otherwise: this one has a name without a certificate yet.
    with django_assert_max_num_queries(9):
        page = inside.get(path).content.decode()
    notice = page[page.index('id="app-changes"') :][:2500]
    assert f"4 changes {NOTICE}" in notice
    for words in ("Memory limit", "512 → 1024 MB", "GREETING", "API_KEY", "OLD"):
        assert words in notice
    assert f'action="{A}apply/"' in notice
    assert SECRET not in page


def test_the_live_part_of_the_page_says_it_too(inside: Client, live: Deployment, web: App) -> None:
    change(web)
    part = inside.get(A, headers={"HX-Request": "true"}).content.decode()
    assert NOTICE in part


def test_a_change_that_is_taken_back_is_no_change(
    inside: Client, live: Deployment, web: App
) -> None:
    change(web)
    app_update(app=web, memory_mb=512)
    variables_save(
        app=web, values={"API_KEY": SECRET, "OLD": "1"}, changed_by=None, remove_others=True
    )
    assert NOTICE not in inside.get(A).content.decode()


def test_a_deployment_older_than_the_record_says_nothing(
    inside: Client, live: Deployment, web: App
) -> None:
    Deployment.objects.update(made_from=None)
    change(web)
    assert NOTICE not in inside.get(A).content.decode()


def test_applying_deploys_the_commit_that_is_live(
    inside: Client, fake: FakeEngine, live: Deployment, web: App
) -> None:
    change(web)
    fake.git.commit("Not to be shipped by surprise")
    answer = inside.post(f"{A}apply/")
    assert answer["Location"] == f"{A}deployments/2/"
    done = work()
    assert (done.status, done.commit, done.ref) == (Status.LIVE, live.commit, "main")
    container = fake.containers.specs[done.container_id]
    assert container.memory_mb == 1024
    assert container.env["API_KEY"] == "other"
    assert NOTICE not in inside.get(A).content.decode()


@pytest.mark.parametrize(
    "source", [{"branch": "next"}, {"repository": "https://git.example.com/shop/new.git"}]
)
def test_applying_another_source_deploys_its_branch(
    fake: FakeEngine, live: Deployment, web: App, source: dict[str, str]
) -> None:
    newest = fake.git.commit("Newest", branch=source.get("branch", "main"))
    app_update(app=web, **source)
    changes_apply(app=web, requested_by=None)
    assert work().commit == newest.sha


def test_a_deployment_that_waits_takes_the_changes_up(
    inside: Client, live: Deployment, web: App
) -> None:
    change(web)
    waiting = deployment_request(app=web, requested_by=None)
    page = inside.get(A).content.decode()
    assert f'action="{A}apply/"' not in page
    assert f"{A}deployments/{waiting.number}/" in page[page.index('id="app-changes"') :]
    assert changes_apply(app=web, requested_by=None) == waiting


def test_applying_goes_on_from_the_deployment_at_work(
    inside: Client, fake: FakeEngine, live: Deployment, web: App
) -> None:
    newer = fake.git.commit("Newer")
    deployment_request(app=web, requested_by=None)
    running = claim_next()
    assert running is not None
    change(web)

    def during_the_build() -> None:
        app_update(app=App.objects.get(pk=web.pk), memory_mb=2048)
        assert f'action="{A}apply/"' in inside.get(A).content.decode()
        changes_apply(app=web, requested_by=None)

    fake.containers.fail("build", during_the_build)
    pipeline.run(running)
    last = work()
    assert last.commit == newer.sha
    assert last.made_from is not None
    assert last.made_from["settings"]["memory_mb"] == 2048


def test_the_build_and_the_container_get_the_same_variables(
    fake: FakeEngine, live: Deployment, web: App
) -> None:
    variables_save(app=web, values={"V": "old"}, changed_by=None, at_build=True)
    deployment_request(app=web, requested_by=None)
    fake.containers.fail(
        "build", lambda: variables_save(app=web, values={"V": "new"}, changed_by=None)
    )
    done = work()
    assert fake.containers.builds[-1].args["V"] == "old"
    assert fake.containers.specs[done.container_id].env["V"] == "old"


def test_changing_takes_a_post(inside: Client, live: Deployment) -> None:
    assert inside.get(f"{A}apply/").status_code == 405
