"""The dashboard's own name over HTTPS in a real Chromium, through the real Traefik, with a
certificate of a real ACME issuer."""

from __future__ import annotations

import http.client
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import FLAGS, Shoot
from tests.browser.test_dashboard_name import PATIENCE, save_name
from tests.browser.test_web_walk import PASSWORD, fill, make_account, set_up
from tests.machine.live import LiveMist
from tests.machine.pebble import Issuer, certificate_at, serve_issuer
from tests.machine.world import wait_until

pytestmark = pytest.mark.browser
NAME = "mist.example.com"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """To which the name leads here."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    flags = [*FLAGS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def issuer(mist: LiveMist, tmp_path: Path) -> Iterator[Issuer]:
    """Which this Mist takes for known, as it would one of its owner's own."""
    ports = int(mist.env["MIST_HTTP_PORT"]), int(mist.env["MIST_HTTPS_PORT"])
    with serve_issuer(tmp_path / "issuer", http_port=ports[0], https_port=ports[1]) as found:
        with found.ca_file.open("ab") as known:
            known.write(found.root())
        mist.env["MIST_ACME_CA_FILE"] = str(found.ca_file)
        yield found


def choose_issuer(page: Page, mist: LiveMist, issuer: Issuer) -> None:
    page.goto(f"{mist.url}/settings/certificates/")
    page.locator("#id_issuer").select_option(label="Another one")
    page.get_by_label(re.compile("^Address of its ACME directory")).fill(issuer.directory)
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("The settings were saved")).to_be_visible()
    expect(page.get_by_text("Traefik is being told")).to_have_count(0, timeout=PATIENCE)


def log_in(page: Page) -> None:
    fill(page, Email="alice@example.com", Password=PASSWORD)
    page.keyboard.press("Enter")


def answer(mist: LiveMist, path: str) -> tuple[int, str]:
    """Status and Location of what the name answers by plain HTTP."""
    asked = http.client.HTTPConnection("127.0.0.1", int(mist.env["MIST_HTTP_PORT"]), timeout=10)
    asked.request("GET", path, headers={"Host": f"{NAME}:{asked.port}"})
    found = asked.getresponse()
    asked.close()
    return found.status, found.headers.get("Location", "")


def test_a_chosen_name_gets_its_certificate_and_is_logged_in_to_over_https(
    page: Page, chromium: Browser, mist: LiveMist, issuer: Issuer, shoot: Shoot
) -> None:
    set_up(page, mist)
    make_account(page)
    choose_issuer(page, mist, issuer)
    save_name(page, mist, NAME)
    wait_until(lambda: answer(mist, "/healthz/")[0] == 200, "the dashboard's route")
    visitor = chromium.new_context(ignore_https_errors=True)
    there = visitor.new_page()
    there.goto(page.get_by_role("link", name=f"Open {NAME}").get_attribute("href") or "")
    expect(there.get_by_role("heading", level=1)).to_have_text("Mist answers here now")

    expect(page.get_by_text(re.compile("^HTTPS, Pebble"))).to_be_visible(timeout=2 * PATIENCE)
    shoot(page, "addresses-https")
    port = int(mist.env["MIST_HTTPS_PORT"])
    shown = certificate_at(port, NAME, root=issuer.root())
    assert shown is not None and shown.names == (NAME,) and issuer.orders() == 1
    wait_until(lambda: answer(mist, "/login/")[0] == 302, "the redirect")
    assert answer(mist, "/login/?next=/x/")[1] == f"https://{NAME}:{port}/login/?next=/x/"
    # What GitHub was given before goes on to be answered, not redirected.
    assert answer(mist, "/hooks/github/nobody")[0] not in (301, 302, 307, 308)

    there.goto(f"http://{NAME}:{mist.env['MIST_HTTP_PORT']}/settings/addresses/")
    assert there.url.startswith(f"https://{NAME}:{port}/login/")
    log_in(there)
    expect(there.get_by_role("heading", level=1)).to_have_text("Addresses")
    kept = {one["name"]: one for one in visitor.cookies()}
    assert kept["__Host-mist_session"]["secure"] and kept["__Host-mist_csrf"]["secure"]

    # The former address goes on to work, also in the same browser, and also by name and port.
    expect(page.get_by_role("heading", level=1)).to_have_text("Addresses")
    plain = visitor.new_page()
    plain.goto(f"http://{NAME}:{mist.env['MIST_PORT']}/")
    log_in(plain)
    expect(plain.get_by_role("heading", level=1)).to_have_text("Projects")
    there.reload()
    expect(there.get_by_role("heading", level=1)).to_have_text("Addresses")

    # Its page is live over HTTPS: nobody reloads it.
    there.evaluate("document.body.dataset.kept = 'yes'")
    page.get_by_label("HTTPS", exact=True).select_option("off")
    page.get_by_role("button", name="Save name").click()
    expect(there.get_by_text("HTTPS is off")).to_be_visible(timeout=PATIENCE)
    assert there.evaluate("document.body.dataset.kept") == "yes"
    wait_until(lambda: answer(mist, "/login/")[0] == 200, "plain HTTP")
    visitor.close()
