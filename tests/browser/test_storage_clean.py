"""The page about the disk, in a real browser: the button, and a result that comes by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.serving import Pages, serve_pages
from tests.browser.test_every_page import log_in

pytestmark = pytest.mark.browser


@pytest.fixture
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serve_pages(tmp_path_factory.mktemp("filled") / "data", filled=True) as pages:
        yield pages


def test_a_press_cleans_up_and_the_page_tells_what_it_freed(
    chromium: Browser, filled: Pages
) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = log_in(context.new_page(), filled, "alice")
    page.keyboard.press("Control+k")
    page.keyboard.type("clean")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{filled.url}/storage/")
    page.get_by_text("Checkouts", exact=False).first.wait_for()
    summary = page.locator("summary", has_text="Checkouts")
    summary.click()
    expect(page.get_by_text("builds/9999")).to_be_visible()
    page.get_by_role("button", name="Clean up now").click()
    expect(page.get_by_text("1 image, 1 checkout").first).to_be_visible()
    expect(page.get_by_text("Nothing: all that is there is needed")).to_be_visible()
    expect(page.get_by_role("button", name="Clean up now")).to_be_enabled()
    assert not (filled.data_dir / "builds" / "9999").exists()
    context.close()
