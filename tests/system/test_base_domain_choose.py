"""The domain below which every app has a name: chosen while Mist runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import reconciliation
from apps.domains import checking, serving
from apps.domains.models import NameCheck, ServedCertificate
from apps.domains.selectors import AT_ONCE, names_in_use
from apps.domains.services import domain_add
from apps.domains.tasks import check_due_names
from apps.engine import public_addresses
from apps.engine.errors import InvalidSource
from apps.engine.fake import FakeEngine
from apps.engine.public_addresses import own_addresses
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from apps.projects.services import project_create
from apps.system import names
from apps.system.address_services import base_domain_change, check_base_domain
from apps.system.names import (
    ask_for_address,
    base_domain,
    chosen_names,
    keep_names,
    wildcard_name,
)
from apps.system.planning import is_own_name
from tests.deployments.test_deployment_run import deploy
from tests.machine.outside import Outside, serve_outside

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


@pytest.fixture
def outside(settings: Settings, data_dir: Path) -> Iterator[Outside]:
    """Somebody who says by which address this server is seen, which does not know it itself."""
    if own_addresses(named=[]).public_of(4):
        pytest.skip("this machine has a public address of its own")
    names._automatic.clear()
    settings.MIST_WILDCARD_DNS, settings.MIST_PUBLIC_ADDRESSES = "sslip.io", []
    with serve_outside() as found:
        settings.MIST_ADDRESS_SERVICE = found.url
        yield found
    names._automatic.clear()


@pytest.mark.django_db(transaction=True)
def test_names_follow_from_the_address_that_a_service_says(
    fake: FakeEngine, web: App, outside: Outside
) -> None:
    deploy(web)
    outside.says = "8.8.4.4\n"
    assert web.host == "web-shop.localhost" and outside.asked == 0, "a page asked"
    check_due_names()
    assert web.host == "web-shop.8-8-4-4.sslip.io" and outside.asked == 1
    assert NameCheck.objects.filter(host=web.host).exists()
    reconciliation.restore_routes()
    assert rule(fake, web) == "Host(`web-shop.8-8-4-4.sslip.io`)"
    # They stay while it says nothing, also for who has just started.
    public_addresses._answers.clear()
    outside.says = ""
    assert not ask_for_address() and web.host == "web-shop.8-8-4-4.sslip.io"
    names._automatic.clear()
    assert web.host == "web-shop.8-8-4-4.sslip.io"
    # And go along when it is another one.
    public_addresses._answers.clear()
    outside.says = "8.8.8.8"
    assert ask_for_address() and web.host == "web-shop.8-8-8-8.sslip.io"
    assert not ask_for_address()


def test_nobody_is_asked_for_an_address_on_which_no_name_hangs(
    web: App, outside: Outside, settings: Settings
) -> None:
    outside.says = "8.8.4.4"
    for name, value in (
        ("MIST_BASE_DOMAIN", "apps.example.com"),
        ("MIST_PUBLIC_ADDRESSES", ["203.0.113.7"]),
        ("MIST_WILDCARD_DNS", ""),
        ("MIST_ADDRESS_SERVICE", ""),
    ):
        before = getattr(settings, name)
        setattr(settings, name, value)
        assert not ask_for_address()
        setattr(settings, name, before)
    keep_names(base_domain=NEW)
    assert not ask_for_address() and outside.asked == 0
    # Whoever names nobody any more goes by nobody's word.
    keep_names(base_domain="", seen_address="8.8.4.4")
    settings.MIST_ADDRESS_SERVICE = ""
    assert web.host == "web-shop.localhost"


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


@pytest.mark.django_db(transaction=True)
def test_no_write_is_of_more_rows_than_others_may_wait_for(
    fake: FakeEngine, settings: Settings, data_dir: Path
) -> None:
    settings.MIST_BASE_DOMAIN = "apps.example.com"
    shop = project_create(slug="many", created_by=None)
    App.objects.bulk_create(
        App(
            project=shop,
            slug=f"a{n}",
            label=f"a{n}-many",
            repository="https://e.example/r",
            own_https=HttpsBy.SELF if n < 3 else HttpsBy.OWN,
        )
        for n in range(2 * AT_ONCE)
    )
    for base in ("apps.example.com", NEW):
        settings.MIST_BASE_DOMAIN = base
        with CaptureQueriesContext(connection) as asked:
            checking._take_in(names_in_use())
            serving.settle()
        assert 0 < most_at_once([one["sql"] for one in asked], names=f"-many.{base}'") <= AT_ONCE
        assert NameCheck.objects.filter(host__endswith=f".{base}").count() == 2 * AT_ONCE + 1
        assert ServedCertificate.objects.count() == 2 * AT_ONCE


def most_at_once(statements: list[str], *, names: str) -> int:
    """How many of these names the one transaction makes or removes that has most of them."""
    most = now = 0
    is_open = False
    for sql in statements:
        if sql.startswith("BEGIN"):
            is_open, now = True, 0
        elif sql.startswith("COMMIT"):
            is_open = False
        elif sql.startswith(("INSERT", "DELETE")):
            now = (now if is_open else 0) + sql.count(names)
            most = max(most, now)
    return most
