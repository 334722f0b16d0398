from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.desk import desk_browser
from tests.engine.git_host import GitHost, serve_git
from tests.machine.live import ROOT, LiveMist, live_mist

SHOTS = ROOT / "tests" / "shots"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Shoot = Callable[[Page, str], None]
# Playwright's own five seconds are short where something else is at work.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the whole session: while Playwright is open it occupies the thread's event loop, which
    other tests need."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, mist: LiveMist) -> Iterator[BrowserContext]:
    """Whose every page is of that Mist."""
    with desk_browser(chromium) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def mist(tmp_path: Path) -> Iterator[LiveMist]:
    with live_mist(tmp_path / "data", MIST_HEALTH_TIMEOUT="60") as found:
        yield found


@pytest.fixture
def git_host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "git") as host:
        yield host


@pytest.fixture
def shoot() -> Shoot:
    """Save the page as a person sees it: light, dark, and on a phone."""
    SHOTS.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.evaluate(
                "dark => { document.documentElement.classList.toggle('dark', dark);"
                " dispatchEvent(new Event('mist:theme')); }",
                scheme == "dark",
            )
            page.screenshot(path=SHOTS / f"{name}-{scheme}.png")
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.evaluate("document.documentElement.classList.remove('dark')")
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=SHOTS / f"{name}-phone.png")
        wider = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        page.set_viewport_size({"width": 1440, "height": 900})
        assert wider <= 0, f"{name} is wider than a phone by {wider} px"

    return take
