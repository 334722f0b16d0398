"""A passkey in a real Chromium, kept in an authenticator that the browser plays."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.accounts.factors import code_of
from tests.browser.desk import desk_browser
from tests.browser.serving import PASSWORD, Pages, serve_pages
from tests.browser.test_every_page import LOOKS, in_looks

pytestmark = pytest.mark.browser


@pytest.fixture
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serve_pages(tmp_path_factory.mktemp("passkeys") / "data", filled=True) as found:
        # Passkeys belong to a name.
        yield Pages(found.url.replace("127.0.0.1", "localhost"), found.data_dir)


@pytest.fixture
def context(chromium: Browser, pages: Pages) -> Iterator[BrowserContext]:
    """Closed before Mist stops."""
    with desk_browser(chromium) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page of a browser with a finger on its sensor."""
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return page


def log_in(page: Page, pages: Pages) -> None:
    page.goto(f"{pages.url}/login/")
    page.get_by_label("Email").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")


def log_out(page: Page) -> None:
    page.locator("[popovertarget=user-menu]").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login/")


def add_passkey(page: Page, pages: Pages) -> None:
    page.goto(f"{pages.url}/account/two-factor/passkey/")
    page.get_by_label("Name", exact=True).fill("Work laptop")
    page.get_by_role("button", name="Add passkey").click()
    page.locator("#recovery-codes").wait_for()


def looks(page: Page, name: str) -> list[str]:
    return in_looks(page, name, LOOKS)


def test_a_passkey_is_added_and_opens_mist(page: Page, pages: Pages) -> None:
    log_in(page, pages)
    page.wait_for_url(f"{pages.url}/")
    add_passkey(page, pages)
    wrong = looks(page, "recovery-codes")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    text = download.value.path().read_text()
    assert len(re.findall(r"^\d{8}$", text, re.MULTILINE)) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Work laptop")).to_be_visible()
    wrong += looks(page, "two-factor-passkey")
    log_out(page)
    # Alone: no address, no password.
    wrong += looks(page, "login-passkey")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url(f"{pages.url}/")
    log_out(page)
    # And after the password.
    log_in(page, pages)
    page.wait_for_url("**/login/code/")
    wrong += looks(page, "login-code-passkey")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{pages.url}/")
    # And to confirm.
    page.goto(f"{pages.url}/reauthenticate/?next=/projects/")
    wrong += looks(page, "reauthenticate-passkey")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{pages.url}/projects/")
    # Gone again.
    page.goto(f"{pages.url}/account/two-factor/")
    page.get_by_role("link", name="Remove Work laptop").click()
    page.get_by_role("button", name="Remove the passkey").click()
    page.get_by_text("None yet").wait_for()
    log_out(page)
    log_in(page, pages)
    page.wait_for_url(f"{pages.url}/")
    assert wrong == []


def test_a_passkey_that_mist_does_not_know_is_told_so(page: Page, pages: Pages) -> None:
    log_in(page, pages)
    page.wait_for_url(f"{pages.url}/")
    add_passkey(page, pages)
    page.goto(f"{pages.url}/account/two-factor/")
    page.get_by_role("link", name="Remove Work laptop").click()
    page.get_by_role("button", name="Remove the passkey").click()
    page.get_by_text("None yet").wait_for()
    log_out(page)
    page.get_by_role("button", name="Log in with a passkey").click()
    page.get_by_text("This passkey is not known here").wait_for()
    assert looks(page, "login-passkey-unknown") == []


def test_an_app_is_set_up_and_asked_for(page: Page, pages: Pages) -> None:
    log_in(page, pages)
    page.wait_for_url(f"{pages.url}/")
    page.goto(f"{pages.url}/account/two-factor/app/")
    wrong = looks(page, "totp-add")
    secret = page.locator("#totp-key").inner_text().replace(" ", "")
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Set up app").click()
    page.locator("#recovery-codes").wait_for()
    log_out(page)
    log_in(page, pages)
    page.get_by_label("Code").fill("000000")
    page.keyboard.press("Enter")
    page.get_by_role("alert").first.wait_for()
    wrong += looks(page, "login-code-wrong")
    # Of the step after, which is good already: a code is good once.
    page.get_by_label("Code").fill(code_of(secret, steps=1))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{pages.url}/")
    assert wrong == []


def test_a_name_that_is_an_address_offers_no_passkey(page: Page, pages: Pages) -> None:
    page.goto(pages.url.replace("localhost", "127.0.0.1") + "/login/")
    assert page.get_by_role("button", name="Log in", exact=True).is_visible()
    assert not page.get_by_role("button", name="Log in with a passkey").is_visible()
