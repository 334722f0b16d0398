"""The domain below which every app has a name: chosen while Mist runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import reconciliation
from apps.domains.models import NameCheck
from apps.domains.services import domain_add
from apps.engine.errors import InvalidSource
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.system import names
from apps.system.address_services import base_domain_change, check_base_domain
from apps.system.names import base_domain, chosen_names, keep_names, wildcard_name
from apps.system.planning import is_own_name
from tests.deployments.test_deployment_run import deploy

URL = "/settings/addresses/"
NEW = "apps.example.net"


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def choose(db: None, data_dir: Path, django_capture_on_commit_callbacks: Any) -> Any:
    def change(name: str) -> str:
        with django_capture_on_commit_callbacks(execute=True):
            return base_domain_change(name=name)

    return change


def rule(fake: FakeEngine, app: App) -> str:
    file: Any = fake.proxy.read_routes(str(app.pk))
    return str(file["http"]["routers"][f"app-{app.pk}"]["rule"])


def test_every_app_moves_and_its_containers_stay(fake: FakeEngine, web: App, choose: Any) -> None:
    deploy(web)
    domain_add(app=web, host="shop.example.com", created_by=None)
    before = list(fake.containers.all)
    choose(NEW)
    reconciliation.restore_routes()
    assert rule(fake, web) == f"Host(`web-shop.{NEW}`) || Host(`shop.example.com`)"
    assert web.host == f"web-shop.{NEW}" and list(fake.containers.all) == before
    assert is_own_name(NEW) and NameCheck.objects.filter(host=f"*.{NEW}").exists()
    choose("")
    assert web.host == "web-shop.localhost"


def test_another_process_sees_it_at_once(data_dir: Path, choose: Any) -> None:
    choose(NEW)
    assert base_domain() == NEW
    (data_dir / "names.json").write_text('{"base_domain": "other.example", "unknown": 1}')
    assert base_domain() == "other.example"
    (data_dir / "names.json").write_text("half a f")
    assert base_domain() == "localhost"


def test_what_else_is_in_the_file_stays(data_dir: Path) -> None:
    keep_names(base_domain="a.example.com")
    assert keep_names().base_domain == chosen_names().base_domain == "a.example.com"
    assert not list(data_dir.glob("*.new"))


@pytest.mark.parametrize("host", ["www.apps.example.net", "*.apps.example.net", NEW])
def test_names_in_the_way_refuse_it_with_whose_they_are(
    inside: Client, web: App, choose: Any, host: str
) -> None:
    domain_add(app=web, host=host, created_by=None)
    with pytest.raises(InvalidSource, match=re.escape(f"{host} of shop/web is in the way")):
        choose(NEW)
    page = inside.post(URL, {"base_domain": NEW}).content.decode()
    assert "in the way" in page and base_domain() == "localhost"


def test_names_further_below_are_not_in_the_way(web: App, choose: Any) -> None:
    domain_add(app=web, host="a.b.apps.example.net", created_by=None)
    domain_add(app=web, host="xapps.example.net", created_by=None)
    assert choose(NEW) == NEW
    with pytest.raises(InvalidSource, match="given out by Mist"):
        domain_add(app=web, host="new.apps.example.net", created_by=None)


def test_the_environment_wins(web: App, choose: Any, settings: Settings, inside: Client) -> None:
    choose(NEW)
    settings.MIST_BASE_DOMAIN = "env.example.com"
    assert web.host == "web-shop.env.example.com"
    with pytest.raises(InvalidSource, match="MIST_BASE_DOMAIN says"):
        choose("other.example.com")
    page = inside.get(URL).content.decode()
    assert "MIST_BASE_DOMAIN" in page and "Save base domain" not in page


def test_a_server_with_a_public_address_has_names_that_lead_there(
    web: App, settings: Settings, data_dir: Path
) -> None:
    names._automatic.clear()
    settings.MIST_WILDCARD_DNS = "sslip.io"
    settings.MIST_PUBLIC_ADDRESSES = ["2001:db8::7", "203.0.113.7"]
    assert web.host == "web-shop.203-0-113-7.sslip.io"
    settings.MIST_WILDCARD_DNS = ""
    assert web.host == "web-shop.localhost"
    names._automatic.clear()


def test_names_below_the_dashboards_are_refused_while_browsers_insist_on_https(
    choose: Any, settings: Settings
) -> None:
    settings.MIST_URL = "https://mist.example.net"
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 3600, True
    with pytest.raises(InvalidSource, match="insist on HTTPS"):
        choose("apps.mist.example.net")
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = False
    assert choose("apps.mist.example.net") == "apps.mist.example.net"


def test_the_page_takes_the_name_and_shows_its_record(inside: Client, data_dir: Path) -> None:
    page = inside.get(URL).content.decode()
    assert "they do not redirect" in page and "*.localhost" in page
    assert inside.post(URL, {"base_domain": " *.Apps.Example.net "}).status_code == 302
    # The file is written after the commit, which a test's transaction never sees.
    keep_names(base_domain=NEW)
    page = inside.get(URL, headers={"HX-Request": "true"}).content.decode()
    assert f"*.{NEW}" in page and "Checking DNS" in page


@pytest.mark.parametrize(
    "text",
    ["example", "-a.example", "a b.example", "1.2.3.4", "http://a.example", "x.mist.internal"],
)
def test_what_is_no_base_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidSource):
        check_base_domain(text)


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.lists(labels, min_size=2, max_size=12).map(".".join), labels)
def test_a_name_below_a_base_domain_is_always_one(base: str, label: str) -> None:
    try:
        checked = check_base_domain(base)
    except InvalidSource:
        return
    assert check_base_domain(f"*.{checked}") == check_base_domain(f"{checked}.") == checked
    assert len(f"{'x' * 63}.{checked}") <= 253


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=3).map(tuple))
def test_a_name_with_an_address_in_it_can_be_read_back(found: tuple[str, ...]) -> None:
    name = wildcard_name(found, "sslip.io")
    if found:
        assert name.removesuffix(".sslip.io").replace("-", ".") == found[0]
    else:
        assert name == "localhost"
