"""The state of each name's DNS: asked for behind the pages, kept, shown with what to do."""

from __future__ import annotations

import datetime as dt
import html
import re

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.domains import checking
from apps.domains.hindrance import Hindrance, hindrances
from apps.domains.models import NameCheck
from apps.domains.selectors import leads_here
from apps.domains.services import domain_add, domain_remove
from apps.engine.name_state import NameState
from apps.projects.models import App, Membership, ProjectRole
from tests.domains.conftest import SERVER4, SERVER6
from tests.machine.dns_host import DnsHost

URL = "/projects/shop/apps/web/domains/"
HOST = "shop.example.com"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def text_of(client: Client) -> str:
    """The words of the page's rows, and what its copy buttons copy."""
    found = client.get(URL, headers={"HX-Request": "true"}).content.decode()
    copied = " ".join(re.findall(r'data-copy="([^"]*)"', found))
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found))
    return html.unescape(f"{words} COPY {copied}")


def check(app: App, host: str = HOST) -> NameCheck:
    if not app.domains.filter(host=host).exists():
        domain_add(app=app, host=host, created_by=None)
    checking.check_name(host)
    return NameCheck.objects.get(host=host)


def test_adding_a_name_has_it_asked_for_and_no_page_waits(
    inside: Client,
    dns_host: DnsHost,
    asked_for: list[str],
    django_capture_on_commit_callbacks: object,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert inside.post(URL, {"host": HOST}).status_code == 302
    assert asked_for == [HOST] and dns_host.asked == []
    assert "Checking DNS" in text_of(inside)
    assert leads_here(HOST) is None
    dns_host.add(HOST, "A", SERVER4)
    checking.check_name(HOST)
    assert "DNS points here A record" in text_of(inside)
    assert leads_here(HOST) is True


def test_a_name_that_leads_elsewhere_shows_the_record_to_set(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    dns_host.add(HOST, "A", "198.51.100.9")
    assert check(web).state == NameState.ELSEWHERE and leads_here(HOST) is False
    shown = text_of(inside)
    assert "DNS points elsewhere" in shown and "Seen: 198.51.100.9" in shown
    assert "In example.com" in shown and "looks again every 2 minutes" in shown
    assert f"COPY shop {SERVER4} shop {SERVER6}" in shown
    assert re.search(r"Remove A shop 198\.51\.100\.9", shown)


def test_an_aaaa_record_that_leads_elsewhere_is_called_the_trap_it_is(
    inside: Client, web: App, dns_host: DnsHost, settings: Settings
) -> None:
    settings.MIST_PUBLIC_ADDRESSES = [SERVER4]
    dns_host.add(HOST, "A", SERVER4)
    dns_host.add(HOST, "AAAA", "2001:db8:9::9")
    assert check(web).state == NameState.PARTLY and leads_here(HOST) is False
    shown = text_of(inside)
    assert "AAAA points elsewhere" in shown and "HTTP-01" in shown and "Remove it." in shown
    assert "Remove AAAA shop 2001:db8:9::9" in shown and "Create" not in shown


def test_of_several_records_the_wrong_one_is_named(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    dns_host.add(HOST, "A", SERVER4, "198.51.100.9")
    dns_host.add(HOST, "AAAA", SERVER6)
    check(web)
    shown = text_of(inside)
    assert "Not this server: 198.51.100.9" in shown
    assert "Remove A shop 198.51.100.9" in shown and "Create" not in shown


def test_cloudflare_is_seen_and_what_to_set_there(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    dns_host.add(HOST, "A", "104.16.1.1")
    dns_host.add(HOST, "AAAA", "2606:4700::6810:101")
    check(web)
    shown = text_of(inside)
    assert "Behind Cloudflare" in shown and "Full (strict)" in shown and "HTTP-01" in shown
    assert leads_here(HOST) is True


def test_no_name_an_error_and_silence_are_told_apart(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    check(web)
    assert "No DNS record yet NXDOMAIN" in text_of(inside) and leads_here(HOST) is False
    dns_host.rcodes[HOST] = "SERVFAIL"
    check(web)
    shown = text_of(inside)
    assert "DNS answers with an error" in shown and "answered SERVFAIL" in shown
    assert leads_here(HOST) is None
    dns_host.rcodes.clear()
    dns_host.silent.add(HOST)
    check(web)
    assert "DNS did not answer" in text_of(inside) and leads_here(HOST) is None


def test_an_alias_that_leads_nowhere_or_in_a_circle_says_so(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    dns_host.add(HOST, "CNAME", "old.example.com.")
    check(web)
    shown = text_of(inside)
    assert "CNAME leads nowhere old.example.com does not exist" in shown
    assert "Remove CNAME shop old.example.com" in shown
    dns_host.add("old.example.com", "CNAME", f"{HOST}.")
    assert check(web).state == NameState.LOOP
    assert f"{HOST} → old.example.com → {HOST}" in text_of(inside)


def test_an_alias_at_the_top_of_a_domain_is_warned_of(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    dns_host.add("example.com", "CNAME", "host.example.net.")
    dns_host.add("host.example.net", "A", SERVER4)
    assert check(web, "example.com").state == NameState.HERE
    assert "hides its other records" in text_of(inside)


def test_a_wildcard_is_asked_for_by_a_made_up_name(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    dns_host.add("www.example.com", "A", SERVER4)
    assert check(web, "*.example.com").state == NameState.MISSING
    assert "no wildcard record" in text_of(inside) and "COPY * " in text_of(inside)
    dns_host.add("*.example.com", "A", SERVER4)
    assert check(web, "*.example.com").state == NameState.HERE


def test_caa_that_forbids_the_certificate_shows_the_record_to_add(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    dns_host.add(HOST, "A", SERVER4)
    dns_host.add("example.com", "CAA", '0 issue "other.example"')
    check(web)
    assert leads_here(HOST) is True and hindrances([HOST]) == {HOST: Hindrance.CAA}
    shown = text_of(inside)
    assert "CAA forbids the certificate" in shown
    assert 'COPY @ 0 issue "letsencrypt.org"' in shown
    dns_host.add("example.com", "CAA", '0 issue "other.example"', '0 issue "letsencrypt.org"')
    check(web)
    assert hindrances([HOST]) == {HOST: Hindrance.NONE}


def test_a_server_that_knows_private_addresses_only_says_what_to_set(
    inside: Client, web: App, dns_host: DnsHost
) -> None:
    NameCheck.objects.create(
        host=HOST, state="unknown", addresses=["8.8.8.8"], own=["10.0.0.5"], checked_at=timezone.now()
    )  # fmt: skip
    domain_add(app=web, host=HOST, created_by=None)
    shown = text_of(inside)
    assert "MIST_PUBLIC_ADDRESSES" in shown and "10.0.0.5" in shown
    assert leads_here(HOST) is None


def test_a_wrong_name_is_looked_at_often_and_a_right_one_daily(web: App, dns_host: DnsHost) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        wrong = check(web)
        assert wrong.next_at - timezone.now() == checking.OFTEN
        clock.shift(dt.timedelta(minutes=2))
        checking.check_due()
        wrong.refresh_from_db()
        assert wrong.checked_at == timezone.now()
        clock.shift(dt.timedelta(days=1))
        checking.check_due()
        wrong.refresh_from_db()
        assert wrong.next_at - timezone.now() == checking.SELDOM
        dns_host.add(HOST, "A", SERVER4)
        clock.shift(checking.SELDOM)
        checking.check_due()
        wrong.refresh_from_db()
        assert wrong.wrong_since is None
        assert dt.timedelta(hours=22) < wrong.next_at - timezone.now() <= dt.timedelta(days=1)
        asked = len(dns_host.asked)
        clock.shift(dt.timedelta(hours=20))
        checking.check_due()
        assert len(dns_host.asked) == asked


def test_names_come_and_go_with_what_needs_them(
    web: App, dns_host: DnsHost, settings: Settings
) -> None:
    settings.MIST_BASE_DOMAIN = "apps.example.com"
    domain = domain_add(app=web, host=HOST, created_by=None)
    checking.check_due()
    assert set(NameCheck.objects.values_list("host", flat=True)) == {
        HOST, "web-shop.apps.example.com", "*.apps.example.com",
    }  # fmt: skip
    domain_remove(domain=domain)
    NameCheck.objects.update(asked_at=None)
    settings.MIST_BASE_DOMAIN = "localhost"
    checking.check_due()
    assert not NameCheck.objects.exists()


def test_who_develops_asks_again_and_only_for_names_of_the_app(
    inside: Client, client: Client, web: App, asked_for: list[str]
) -> None:
    check_url = f"{URL}check/"
    domain_add(app=web, host=HOST, created_by=None)
    for host in (HOST, "other.example.com", web.host, ""):
        assert inside.post(check_url, {"host": host}).status_code == 302
    assert NameCheck.objects.get().host == HOST and NameCheck.objects.get().is_asking
    bob = User.objects.create_user("bob@example.com", name="Bob")
    Membership.objects.create(project=web.project, user=bob, role=ProjectRole.VIEWER)
    client.force_login(bob)
    assert client.post(check_url, {"host": HOST}).status_code == 403
    assert "Check now" not in client.get(URL).content.decode()


def test_an_answer_that_never_came_may_be_asked_for_again() -> None:
    now = timezone.now()
    assert NameCheck(asked_at=now).is_asking
    assert not NameCheck(asked_at=now, checked_at=now).is_asking
    assert not NameCheck(asked_at=now - dt.timedelta(minutes=2)).is_asking
