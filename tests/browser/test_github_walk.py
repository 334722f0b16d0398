"""From no GitHub at all to an app of one of its repositories, with a mouse and a keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.desk import desk_browser
from tests.browser.serving import Pages, serve_pages
from tests.browser.test_every_page import LOOKS, begin, in_looks, log_in
from tests.github.api import GitHubHost
from tests.github.host import serve_github

pytestmark = pytest.mark.browser
PICK = "/projects/shop/new-app/github/"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubHost]:
    with serve_github(tmp_path / "github") as host:
        for number in range(250):
            host.repository(1, 100 + number, f"halden/service-{number:03}")
        host.repository(1, 7, "halden/web", "main", *(f"feature-{n:03}" for n in range(120)))
        yield host


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with serve_pages(tmp_path / "data", filled=True, MIST_GIT_LOCALHOST="true") as found:
        yield found


@pytest.fixture
def desk(chromium: Browser) -> Iterator[BrowserContext]:
    with desk_browser(chromium) as context:
        yield context


def test_an_app_is_made_of_a_repository_on_github(
    desk: BrowserContext, pages: Pages, github: GitHubHost
) -> None:
    page = log_in(desk.new_page(), pages, "alice")
    begin(page, LOOKS)
    wrong: list[str] = []
    page.goto(f"{pages.url}{PICK}")
    wrong += in_looks(page, "github-pick-none", LOOKS)
    page.goto(f"{pages.url}/settings/")
    page.get_by_role("link", name="GitHub", exact=True).click()
    wrong += in_looks(page, "github-none", LOOKS)
    wrong += make_app(page, github)
    wrong += install(page)
    wrong += choose(page, pages)
    assert wrong == []
    assert page.url == f"{pages.url}/projects/shop/apps/from-github/"
    assert page.get_by_text("halden/web").first.is_visible()
    page.goto(f"{pages.url}/projects/shop/apps/from-github/source/")
    assert page.get_by_text("installed in halden").is_visible()
    assert in_looks(page, "github-source", LOOKS) == []


def make_app(page: Page, github: GitHubHost) -> list[str]:
    page.get_by_role("link", name="New GitHub App").first.click()
    wrong = in_looks(page, "github-new", LOOKS)
    page.get_by_label("Name", exact=True).fill("Mist of Halden")
    page.get_by_label("GitHub Enterprise address").fill(github.url)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Make it on GitHub").wait_for()
    wrong += in_looks(page, "github-leave", LOOKS)
    page.get_by_role("button", name="Make it on GitHub").click()
    page.get_by_role("link", name="Create App").click()
    page.get_by_role("heading", name="Mist of Halden", exact=True).wait_for()
    return wrong + in_looks(page, "github-made", LOOKS)


def install(page: Page) -> list[str]:
    page.get_by_role("link", name="Install Mist of Halden on GitHub").click()
    page.get_by_text("is installed in 1 account").wait_for()
    installed = page.get_by_role("form", name="halden")
    installed.get_by_label("shop", exact=True).check()
    page.get_by_role("button", name="Save projects of halden").click()
    page.get_by_text("Who uses halden was saved").wait_for()
    assert installed.get_by_label("shop", exact=True).is_checked()
    return in_looks(page, "github-installed", LOOKS)


def choose(page: Page, pages: Pages) -> list[str]:
    page.goto(f"{pages.url}/projects/shop/new-app/")
    page.get_by_role("link", name="Choose on GitHub").click()
    page.get_by_role("link", name="halden/service-000").wait_for()
    wrong = in_looks(page, "github-repositories", LOOKS)
    # Found as one types: nothing is pressed.
    page.get_by_label("Find a repository").press_sequentially("WEB")
    page.get_by_role("link", name="halden/service-000").wait_for(state="detached")
    wrong += in_looks(page, "github-repositories-found", LOOKS)
    page.get_by_role("link", name="halden/web").click()
    page.get_by_label("Find a branch").press_sequentially("feature-119")
    # Of the letters before there are more: their answer would take a link away that is pressed.
    expect(page.get_by_role("link", name=re.compile("^feature-"))).to_have_count(1)
    page.get_by_role("link", name="feature-119").click()
    branch = page.get_by_label("Branch", exact=True)
    page.wait_for_url("**branch=feature-119**")
    assert branch.input_value() == "feature-119"
    wrong += in_looks(page, "github-branches", LOOKS)
    page.get_by_label("Name", exact=True).fill("from-github")
    page.get_by_role("button", name="Create app").click()
    page.wait_for_url("**/apps/from-github/")
    return wrong


def test_repositories_are_found_without_scripts_too(
    chromium: Browser, pages: Pages, github: GitHubHost, desk: BrowserContext
) -> None:
    page = log_in(desk.new_page(), pages, "alice")
    page.goto(f"{pages.url}/settings/github/")
    make_app(page, github)
    install(page)
    plain = chromium.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    page = plain.new_page()
    page.goto(f"{pages.url}{PICK}")
    page.get_by_label("Find a repository").fill("web")
    page.get_by_role("button", name="Search").last.click()
    page.get_by_role("link", name="halden/web").click()
    page.get_by_label("Find a branch").fill("119")
    page.get_by_role("button", name="Search").last.click()
    page.get_by_role("link", name="feature-119").click()
    assert page.get_by_label("Branch", exact=True).input_value() == "feature-119"
    plain.close()
