"""Pages that change by themselves, in a real Chromium: states, lost connections, no WebSocket."""

from __future__ import annotations

import re

import docker
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.machine.live import LiveMist

pytestmark = [pytest.mark.browser, pytest.mark.long(7)]
PASSWORD = "correct-horse-battery"
APP = "/projects/demo/apps/hello/"


@pytest.fixture
def inside(page: Page, mist: LiveMist) -> Page:
    """Logged in, with the demo app live."""
    mist.run("up", "--detach")
    mist.run("demo", "--no-open")
    mist.run("createadmin", "alice@example.com", "--name", "Alice Archer", stdin=f"{PASSWORD}\n")
    page.goto(f"{mist.url}/login/")
    page.get_by_label("Email", exact=True).fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r":\d+/$"))
    return page


def pause_container(mist: LiveMist) -> None:
    """What Mist does not set right by itself, so that it stays to be seen."""
    client = docker.from_env()
    instance = (mist.data_dir / "instance").read_text().strip()
    [container] = client.containers.list(filters={"label": f"mist.instance={instance}"})
    container.pause()
    client.close()


def test_a_paused_container_shows_on_every_open_page(
    inside: Page, context: BrowserContext, mist: LiveMist
) -> None:
    app, project, deployments = inside, context.new_page(), context.new_page()
    dashboard = context.new_page()
    for page, path in ((app, APP), (project, "/projects/demo/"), (dashboard, "/")):
        page.goto(mist.url + path)
    deployments.goto(f"{mist.url}/deployments/")
    dot = dashboard.locator("#side-projects .dot").first
    expect(dot).to_have_attribute("data-state", "running")
    pause_container(mist)
    expect(app.locator(".page-head .status")).to_have_text("Unhealthy")
    expect(app.locator("#app-head")).to_contain_text("paused by hand")
    expect(project.locator("#project .status").first).to_have_text("Unhealthy")
    expect(dashboard.locator("#dashboard .note")).to_contain_text("demo / hello is unhealthy")
    for page in (app, project, dashboard, deployments):
        expect(page.locator("#side-projects .dot").first).to_have_attribute(
            "data-state", "unhealthy"
        )


def test_a_deployment_shows_on_lists_from_beginning_to_end(
    inside: Page, context: BrowserContext, mist: LiveMist
) -> None:
    lists, app = inside, context.new_page()
    lists.goto(f"{mist.url}/deployments/")
    app.goto(mist.url + APP)
    app.get_by_role("button", name="More ways to deploy").click()
    mist.run("deploy", "demo/hello", "--wait")
    expect(lists.locator("#deployment-rows")).to_contain_text("#2")
    expect(lists.locator("#deployment-rows .status").first).to_have_text("Live")
    expect(app.locator("#app-overview")).to_contain_text("Deployment #2")
    # What somebody has opened stays open while the page around it changes.
    expect(app.get_by_role("button", name="Rebuild without cache")).to_be_visible()


def test_without_websockets_the_page_asks_by_itself(
    inside: Page, context: BrowserContext, mist: LiveMist
) -> None:
    blocked = context.new_page()
    blocked.add_init_script(
        "window.WebSocket = class extends EventTarget {"
        " constructor() { super(); setTimeout(() => this.dispatchEvent(new Event('close')), 10); } };"
    )
    blocked.goto(mist.url + APP)
    pause_container(mist)
    expect(blocked.locator(".page-head .status")).to_have_text("Unhealthy")
    expect(blocked.locator("[data-live-lost]")).to_be_hidden()


def test_a_lost_mist_is_said_quietly_and_caught_up_with(inside: Page, mist: LiveMist) -> None:
    inside.goto(mist.url + APP)
    mist.run("down")
    banner = inside.locator("[data-live-lost]")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("Connection lost")
    pause_container(mist)
    mist.run("up", "--detach")
    expect(banner).to_be_hidden(timeout=60_000)
    expect(inside.locator(".page-head .status")).to_have_text("Unhealthy")


def test_who_logs_out_in_one_window_is_out_in_all(
    inside: Page, context: BrowserContext, mist: LiveMist
) -> None:
    other = context.new_page()
    other.goto(mist.url + APP)
    expect(other.locator(".page-head .status")).to_have_text("Running")
    inside.get_by_role("button", name=re.compile("account of Alice")).click()
    inside.get_by_role("button", name="Log out").click()
    expect(other).to_have_url(re.compile("/login/"))


def test_an_app_that_is_deleted_is_gone_from_open_pages(inside: Page, mist: LiveMist) -> None:
    inside.goto(mist.url + APP)
    mist.run("app_delete", "demo/hello", "--yes")
    expect(inside.get_by_text("This page is not here")).to_be_visible()


def test_whoever_deletes_an_app_gets_the_answer_to_that_and_not_the_news_that_it_is_gone(
    inside: Page, mist: LiveMist
) -> None:
    def answer_late(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        inside.wait_for_timeout(2000)  # Long enough for every open page to hear of it.
        route.fulfill(response=answer)

    inside.goto(f"{mist.url}{APP}settings/")
    inside.get_by_label(re.compile("demo/hello")).fill("demo/other")
    inside.get_by_role("button", name="Delete hello").click()
    expect(inside.locator("#delete").get_by_role("alert")).to_be_visible()
    inside.route("**/delete/", answer_late)
    inside.get_by_label(re.compile("demo/hello")).fill("demo/hello")
    inside.get_by_role("button", name="Delete hello").click()
    expect(inside).to_have_url(re.compile("/projects/demo/$"))
    expect(inside.get_by_text("demo/hello was deleted")).to_be_visible()
