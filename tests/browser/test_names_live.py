"""The state of names in a real Chromium: it changes by itself when the DNS does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Shoot
from tests.browser.desk import desk_browser
from tests.browser.serving import PASSWORD, Pages, serve_pages
from tests.machine.dns_host import DnsHost, serve_dns

pytestmark = pytest.mark.browser
WEB = "/projects/shop/apps/web"
PATIENCE = 60_000


@pytest.fixture
def dns_host() -> Iterator[DnsHost]:
    with serve_dns() as host:
        host.zones.add("example.com")
        yield host


@pytest.fixture
def pages(tmp_path: Path, dns_host: DnsHost) -> Iterator[Pages]:
    with serve_pages(
        tmp_path / "data",
        filled=True,
        MIST_DNS_SERVERS=dns_host.server,
        MIST_PUBLIC_ADDRESSES="203.0.113.7",
    ) as found:
        yield found


@pytest.fixture
def desk(chromium: Browser, pages: Pages) -> Iterator[BrowserContext]:
    with desk_browser(chromium) as context:
        yield context


@pytest.fixture
def page(desk: BrowserContext, pages: Pages) -> Page:
    page = desk.new_page()
    page.goto(f"{pages.url}/login/")
    page.get_by_label("Email").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Projects")
    return page


def test_a_new_name_is_checked_and_follows_what_the_dns_says(
    page: Page, pages: Pages, dns_host: DnsHost, shoot: Shoot
) -> None:
    page.goto(f"{pages.url}{WEB}/domains/")
    shoot(page, "app-domains-states")
    page.get_by_label("Domain", exact=True).fill("fresh.example.com")
    page.get_by_role("button", name="Add domain").click()
    row = page.locator("#domain-rows .row", has_text="fresh.example.com")
    expect(row.get_by_text("No DNS record yet")).to_be_visible(timeout=PATIENCE)
    expect(row.get_by_role("button", name="Copy the value 203.0.113.7")).to_be_visible()
    dns_host.add("fresh.example.com", "A", "203.0.113.7")
    row.get_by_role("button", name="Check fresh.example.com now").click()
    expect(row.get_by_text("DNS points here")).to_be_visible(timeout=PATIENCE)
    expect(row.get_by_text("No DNS record yet")).to_have_count(0)
