"""The dashboard's own name: on trial for a minute, then confirmed there or gone again."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.domains.services import domain_add
from apps.engine.dashboard_routes import dashboard_routes
from apps.engine.errors import InvalidSource
from apps.engine.fake import FakeEngine
from apps.engine.routes import Route
from apps.projects.https_models import HttpsBy
from apps.projects.models import App, Project
from apps.projects.services import app_create
from apps.system import dashboard
from apps.system.dashboard_services import (
    confirm_link,
    dashboard_name_confirm,
    dashboard_name_drop,
    dashboard_name_save,
)
from apps.system.names import chosen_names, dashboard_names, keep_names
from apps.system.planning import dashboard_url, is_own_name

URL = "/settings/addresses/"
NAME = "mist.example.net"
LATER = dt.timedelta(seconds=61)


@pytest.fixture
def attempt(alice: User, fake: FakeEngine, django_capture_on_commit_callbacks: Any) -> Any:
    """Put a name on trial, and return the path of its link."""

    def put(host: str = NAME, https: HttpsBy = HttpsBy.AUTOMATIC) -> str:
        with django_capture_on_commit_callbacks(execute=True):
            dashboard_name_save(host=host, https=https, by=alice)
        dashboard.settle_dashboard()
        return urlsplit(confirm_link(alice)).path

    return put


def rule(fake: FakeEngine, which: str = "") -> str:
    routers: Any = fake.proxy.dashboard.get("http", {}).get("routers", {})
    return str(routers.get(f"mist-dashboard{which}", {}).get("rule", ""))


def test_it_leads_there_at_once_and_stays_once_somebody_came(
    client: Client, fake: FakeEngine, alice: User, attempt: Any, settings: Settings
) -> None:
    path = attempt()
    assert rule(fake) == f"Host(`{NAME}`)" and is_own_name(NAME)
    service: Any = fake.proxy.dashboard["http"]["services"]["mist-dashboard"]
    assert service["loadBalancer"]["servers"] == [{"url": f"http://127.0.0.1:{settings.MIST_PORT}"}]
    assert NAME not in dashboard_url()
    answer = client.get(path, headers={"host": f"{NAME}:8000"})
    assert answer.status_code == 200 and "answers here now" in answer.content.decode()
    with time_machine.travel(timezone.now() + LATER):
        dashboard.settle_dashboard()
        assert rule(fake) == f"Host(`{NAME}`)" and is_own_name(NAME)
        assert dashboard_url() == f"http://{NAME}"
    assert client.get(path, headers={"host": NAME}).status_code == 410


def test_it_goes_back_when_nobody_came_and_the_link_is_dead(
    client: Client, fake: FakeEngine, alice: User, attempt: Any
) -> None:
    path = attempt()
    with time_machine.travel(timezone.now() + LATER):
        # Before anybody has cleaned up, as after a restart: time alone ends it.
        assert not is_own_name(NAME) and not dashboard_names()
        assert client.get(path, headers={"host": NAME}).status_code == 400
        assert not dashboard_name_confirm(host=NAME, token=path.split("/")[-2])
        dashboard.settle_dashboard()
        assert rule(fake) == "" and chosen_names().given_up == NAME
        assert AuditEvent.objects.get(action="dashboard_name.revert").thing_name == NAME
        dashboard.settle_dashboard()
        assert AuditEvent.objects.filter(action="dashboard_name.revert").count() == 1


def test_a_failed_name_leaves_the_one_before(
    client: Client, fake: FakeEngine, attempt: Any
) -> None:
    client.get(attempt(), headers={"host": NAME})
    attempt("other.example.net")
    assert rule(fake) == f"Host(`{NAME}`)" and rule(fake, "-trial") == "Host(`other.example.net`)"
    with time_machine.travel(timezone.now() + LATER):
        dashboard.settle_dashboard()
        assert rule(fake, "-trial") == ""
        assert rule(fake) == f"Host(`{NAME}`)" and dashboard_url() == f"http://{NAME}"


def test_only_the_link_at_the_new_name_confirms(client: Client, alice: User, attempt: Any) -> None:
    path = attempt()
    token = path.split("/")[-2]
    for host, given in (("127.0.0.1:8080", token), ("localhost", token), (NAME, token[:-1] + "x")):
        answer = client.get(f"{URL}confirm/{given}/", headers={"host": host})
        assert answer.status_code == 410, host
    assert client.head(path, headers={"host": NAME}).status_code == 410
    assert chosen_names().dashboard == "" and chosen_names().has_trial


def test_only_who_asked_for_it_sees_the_link(client: Client, alice: User, attempt: Any) -> None:
    path = attempt()
    bob = User.objects.create_superuser("bob@example.com", name="Bob")
    for user, sees in ((alice, True), (bob, False)):
        client.force_login(user)
        page = client.get(URL, headers={"HX-Request": "true"}).content.decode()
        assert (path in page) is sees and "Waiting for you" in page
    assert confirm_link(bob) == ""


def test_a_new_trial_kills_the_link_of_the_one_before(client: Client, attempt: Any) -> None:
    first = attempt()
    second = attempt("other.example.net")
    assert first != second
    assert client.get(first, headers={"host": NAME}).status_code == 400
    assert client.get(first, headers={"host": "other.example.net"}).status_code == 410


@pytest.mark.parametrize("path", ["", "/blog"])
def test_no_name_is_both_the_dashboards_and_an_apps(web: App, attempt: Any, path: str) -> None:
    domain_add(app=web, host=NAME, path=path, created_by=None)
    with pytest.raises(InvalidSource, match="belongs to the app shop/web"):
        attempt()
    with pytest.raises(InvalidSource, match="belongs to the app shop/web"):
        attempt("web-shop.localhost")
    attempt("admin.localhost")
    with pytest.raises(InvalidSource, match="belongs to Mist itself"):
        domain_add(app=web, host="admin.localhost", created_by=None)


def test_a_new_app_gets_no_name_that_is_the_dashboards(shop: Project, attempt: Any) -> None:
    attempt("api-shop.localhost")
    app = app_create(project=shop, slug="api", repository="https://e.example/r", created_by=None)
    assert app.host != "api-shop.localhost"


def test_a_name_further_below_or_beside_an_apps_is_free(web: App, attempt: Any) -> None:
    domain_add(app=web, host="*.example.net", created_by=None)
    domain_add(app=web, host=f"www.{NAME}", created_by=None)
    attempt()
    assert chosen_names().trial_host == NAME


@pytest.mark.parametrize(
    "host", ["mist", "203.0.113.7", "a b.example", "*.example.net", "x`.example"]
)
def test_what_is_no_name_is_told_beside_the_field(client: Client, alice: User, host: str) -> None:
    client.force_login(alice)
    page = client.post(f"{URL}dashboard/", {"host": host}).content.decode()
    assert 'role="alert"' in page and not chosen_names().has_trial


def test_the_name_is_taken_away_again(
    fake: FakeEngine, alice: User, client: Client, attempt: Any, django_capture_on_commit_callbacks: Any
) -> None:  # fmt: skip
    client.get(attempt(), headers={"host": NAME})
    with django_capture_on_commit_callbacks(execute=True):
        dashboard_name_drop(by=alice)
    dashboard.settle_dashboard()
    assert rule(fake) == "" and not is_own_name(NAME)


def test_the_environment_wins(
    client: Client, alice: User, settings: Settings, fake: FakeEngine
) -> None:
    keep_names(dashboard=NAME)
    settings.MIST_URL = "https://mist.example.com"
    dashboard.settle_dashboard()
    assert rule(fake) == "" and dashboard_url() == "https://mist.example.com"
    with pytest.raises(InvalidSource, match="MIST_URL says"):
        dashboard_name_save(host=NAME, https=HttpsBy.AUTOMATIC, by=alice)


def test_the_file_leads_to_containers_where_the_pages_are_some() -> None:
    found = dashboard_routes(routes=[Route(NAME)])
    router = found["http"]["routers"]["mist-dashboard"]
    assert router["service"] == "dashboard@docker" and "services" not in found["http"]
    assert dashboard_routes(routes=[]) == {}
    with pytest.raises(InvalidSource):
        dashboard_routes(routes=[Route("a.example`) || Host(`b.example")])
    assert re.fullmatch(r"Host\(`[a-z.]+`\)", router["rule"])
