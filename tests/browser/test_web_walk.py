"""The whole web path in a real Chromium: from the set-up link to the app's own page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Shoot
from tests.engine.git_host import GitHost, Origin
from tests.machine.live import LiveMist
from tests.machine.world import SAMPLES, wait_until

pytestmark = pytest.mark.browser
PASSWORD = "correct-horse-battery"
NEW_PASSWORD = "staple-battery-horse"
DOTENV = """\
# pasted
export GREETING="Hello, 'you'"
EQUALS=a=b$HOME
LINES="one
two"
"""


@pytest.fixture
def origin(git_host: GitHost) -> Origin:
    made = git_host.create("shop/web")
    shutil.copytree(SAMPLES / "python-web", made.path, dirs_exist_ok=True)
    made.commit({}, "First version")
    return made


@pytest.fixture
def plain(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser without scripts."""
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(60_000)
    yield context
    context.close()


def set_up(page: Page, mist: LiveMist) -> None:
    said = mist.run("up", "--detach")
    link = re.search(r"http://\S+/setup/\S+", said)
    assert link is not None
    page.goto(link[0])


def fill(page: Page, **fields: str) -> None:
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)


def make_account(page: Page) -> None:
    fill(page, Name="Alice Archer", Email="alice@example.com", Password=PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page).to_have_url(re.compile(r":\d+/$"))


def log_in(page: Page, password: str) -> None:
    fill(page, Email="alice@example.com", Password=password)
    page.get_by_role("button", name="Log in").click()


def make_app(page: Page, mist: LiveMist, repository: str) -> None:
    page.goto(f"{mist.url}/new-project/")
    fill(page, Name="shop")
    page.get_by_role("button", name="Create project").click()
    page.get_by_role("link", name=re.compile("(New|Create|Add) app")).first.click()
    fill(page, Name="web", Git_repository=repository)
    page.get_by_text("More settings").click()
    fill(page, Health_check_path="/healthz")
    page.get_by_role("button", name="Create app").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("web")


def deploy(page: Page, mist: LiveMist) -> None:
    page.goto(f"{mist.url}/projects/shop/apps/web/")
    page.get_by_role("button", name="Deploy", exact=True).first.click()
    expect(page).to_have_url(re.compile(r"/deployments/\d+/$"))


def head_status(page: Page, text: str, seconds: float = 180) -> None:
    expect(page.locator(".page-head .status").first).to_have_text(text, timeout=seconds * 1000)


def test_the_whole_path_from_the_set_up_link_to_the_apps_own_page(
    page: Page, mist: LiveMist, origin: Origin, shoot: Shoot
) -> None:
    set_up(page, mist)
    used = page.url
    shoot(page, "setup")
    make_account(page)
    shoot(page, "dashboard-empty")
    page.goto(used)
    assert page.get_by_label("Password").count() == 0

    page.goto(f"{mist.url}/account/")
    shoot(page, "account")
    fill(page, Current_password=PASSWORD, New_password=NEW_PASSWORD)
    page.get_by_role("button", name=re.compile("Change password")).click()
    expect(page.get_by_text("Your password was changed")).to_be_visible()
    page.get_by_role("button", name=re.compile("account of Alice")).click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login/"))
    log_in(page, PASSWORD)
    expect(page.get_by_role("alert").first).to_be_visible()
    shoot(page, "login-error")
    log_in(page, NEW_PASSWORD)
    expect(page).to_have_url(re.compile(r":\d+/$"))

    make_app(page, mist, origin.url)
    shoot(page, "app-new-empty")

    page.get_by_role("link", name="Environment").click()
    page.locator("#paste summary").click()
    page.locator("#paste textarea").fill("BROKEN LINE\n" + DOTENV)
    page.get_by_role("button", name="Save variables").click()
    expect(page.get_by_text("Nothing was saved")).to_be_visible()
    shoot(page, "environment-error")
    page.locator("#paste textarea").fill(DOTENV)
    page.get_by_role("button", name="Save variables").click()
    expect(page.get_by_text("GREETING", exact=True)).to_be_visible()
    assert "Hello, 'you'" not in page.content()
    page.get_by_role("button", name="Show GREETING").click()
    expect(page.get_by_text("Hello, 'you'")).to_be_visible()
    shoot(page, "environment")

    deploy(page, mist)
    shoot(page, "deployment-running")
    head_status(page, "Live")
    expect(page.locator("#log")).to_contain_text("Live at")
    numbers = page.locator(".ln-no").all_inner_texts()
    assert [int(n) for n in numbers] == list(range(1, len(numbers) + 1))
    shoot(page, "deployment-live")

    page.goto(f"{mist.url}/projects/shop/apps/web/")
    head_status(page, "Running")
    shoot(page, "app")
    page.get_by_role("link", name="web-shop.localhost").first.click()
    expect(page.locator("body")).to_have_text("python VERSION 1")
    assert mist.visit("web-shop.localhost", "/env/GREETING") == (200, "Hello, 'you'")
    assert mist.visit("web-shop.localhost", "/env/EQUALS") == (200, "a=b$HOME")
    assert mist.visit("web-shop.localhost", "/env/LINES") == (200, "one\ntwo")

    origin.commit({"VERSION": "2"}, "Second version")
    deploy(page, mist)
    head_status(page, "Live")
    assert mist.visit("web-shop.localhost") == (200, "python VERSION 2")
    origin.commit({"Dockerfile": "FROM python:3.11-slim\nRUN exit 9\n"}, "Break the build")
    deploy(page, mist)
    head_status(page, "Failed")
    expect(page.locator(".failure")).to_contain_text("Build step 2/2 failed")
    expect(page.locator(".failure")).to_contain_text("#2 still serves")
    shoot(page, "deployment-failed")

    page.goto(f"{mist.url}/projects/shop/apps/web/deployments/")
    expect(page.get_by_text("Break the build")).to_be_visible()
    shoot(page, "app-deployments")
    page.get_by_role("link", name="Logs", exact=True).click()
    expect(page.get_by_text("python-web 2 listens")).to_be_visible()
    shoot(page, "app-logs")

    page.get_by_role("link", name="Domains").click()
    page.get_by_label("Domain", exact=True).fill("not a name")
    page.get_by_role("button", name="Add domain").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    page.get_by_label("Domain", exact=True).fill("shop.example.com")
    page.get_by_role("button", name="Add domain").click()
    expect(page.get_by_role("link", name="shop.example.com", exact=True)).to_be_visible()
    shoot(page, "app-domains")
    wait_until(
        lambda: mist.visit("shop.example.com") == (200, "python VERSION 2"), "its new address"
    )

    page.goto(f"{mist.url}/projects/shop/apps/web/")
    page.get_by_role("link", name="Stop", exact=True).click()
    page.locator("#confirm").get_by_role("button", name="Stop web").click()
    head_status(page, "Stopped")
    page.get_by_role("button", name="Start", exact=True).click()
    head_status(page, "Running")
    page.get_by_role("button", name="Restart", exact=True).click()
    head_status(page, "Running")

    page.goto(mist.url)
    expect(page.get_by_role("link", name=re.compile("shop")).first).to_be_visible()
    shoot(page, "dashboard")
    page.goto(f"{mist.url}/projects/shop/")
    shoot(page, "project")
    page.goto(f"{mist.url}/projects/shop/apps/web/settings/")
    shoot(page, "app-settings")
    page.get_by_label(re.compile("shop/web")).fill("shop/other")
    page.get_by_role("button", name="Delete web").click()
    expect(page.locator("#delete").get_by_role("alert")).to_be_visible()
    page.get_by_label(re.compile("shop/web")).fill("shop/web")
    page.get_by_role("button", name="Delete web").click()
    expect(page).to_have_url(re.compile("/projects/shop/$"))
    expect(page.get_by_text("shop/web was deleted")).to_be_visible()
    expect(page.get_by_role("link", name="web", exact=True)).to_have_count(0)
    page.goto(f"{mist.url}/projects/shop/apps/web/")
    shoot(page, "not-found")
    expect(page.locator("body")).not_to_contain_text("Traceback")


def test_every_step_works_without_scripts(
    plain: BrowserContext, mist: LiveMist, origin: Origin
) -> None:
    page = plain.new_page()
    set_up(page, mist)
    make_account(page)
    make_app(page, mist, origin.url)
    deploy(page, mist)
    head_status(page, "Live")
    expect(page.locator("#log")).to_contain_text("Live at")
    page.goto(f"{mist.url}/projects/shop/apps/web/")
    page.get_by_role("link", name="web-shop.localhost").first.click()
    expect(page.locator("body")).to_have_text("python VERSION 1")


def test_the_demo_is_one_click_on_the_empty_dashboard(
    page: Page, mist: LiveMist, shoot: Shoot
) -> None:
    set_up(page, mist)
    make_account(page)
    page.get_by_role("button", name=re.compile("demo")).click()
    head_status(page, "Live")
    page.get_by_role("link", name="Open app").click()
    expect(page).to_have_title(re.compile("Hello"))
    shoot(page, "demo")
