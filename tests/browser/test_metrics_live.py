"""Numbers that move while somebody looks, in a real Chromium, and that outlive Mist."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Shoot
from tests.browser.test_live_pages import APP
from tests.browser.test_live_pages import inside as inside
from tests.machine.live import LiveMist

pytestmark = pytest.mark.browser
METRICS = f"{APP}metrics/"
HOST = "hello-demo.localhost"


def wait_for_samples(page: Page, url: str) -> None:
    """Return when the page has charts: after the first two rounds, each a quarter of a minute."""
    until = time.monotonic() + 180
    while True:
        page.goto(url)
        if page.locator(".plot").count():
            return
        assert time.monotonic() < until, "no sample was kept"
        time.sleep(1)


def times(page: Page, mist: LiveMist) -> list[int]:
    """When the samples behind the app's charts were taken."""
    found: list[int] = page.request.get(f"{mist.url}{METRICS}data/").json()["columns"]["at"]
    return found


def values(page: Page, name: str) -> Locator:
    plot = page.locator(".plot").filter(has=page.get_by_role("heading", name=name, exact=True))
    return plot.locator("[data-plot-value]")


def test_numbers_move_by_themselves_and_outlive_mist(
    inside: Page, mist: LiveMist, shoot: Shoot
) -> None:
    row = inside.locator("#host-metrics")
    first = row.inner_text()
    expect(row).not_to_have_text(first)
    expect(row.locator(".metric").nth(1)).to_contain_text("%")

    wait_for_samples(inside, mist.url + METRICS)
    expect(inside.locator(".plot canvas")).to_have_count(4)
    expect(values(inside, "Network")).to_have_text(["0\u00a0KB/s", "0\u00a0KB/s"])
    until = time.monotonic() + 120
    while "0\u00a0KB/s" in values(inside, "Network").all_inner_texts():
        assert time.monotonic() < until, "no visit showed"
        for _ in range(20):
            mist.visit(HOST)
        inside.wait_for_timeout(100)
    cell = inside.locator('[data-row="received"] [data-most]')
    expect(cell).not_to_have_text("0\u00a0KB/s")
    shoot(inside, "app-metrics")

    kept = times(inside, mist)
    mist.run("down")
    mist.run("up", "--detach")
    inside.goto(mist.url + METRICS)
    expect(inside.locator(".plot canvas")).to_have_count(4)
    assert times(inside, mist)[: len(kept)] == kept

    inside.goto(f"{mist.url}{APP}")
    expect(inside.locator("#app-usage .spark")).to_have_count(3)
    inside.goto(f"{mist.url}/server/")
    expect(inside.locator(".plot canvas")).to_have_count(5)
    shoot(inside, "server")
    inside.get_by_role("link", name="30 d").click()
    expect(inside.locator(".plot canvas")).to_have_count(5)


def test_without_websockets_numbers_are_asked_for(inside: Page, mist: LiveMist) -> None:
    blocked = inside.context.new_page()
    blocked.add_init_script(
        "window.WebSocket = class extends EventTarget {"
        " constructor() { super(); setTimeout(() => this.dispatchEvent(new Event('close')), 10); } };"
    )
    with blocked.expect_response(f"{mist.url}/server/row/") as asked:
        blocked.goto(f"{mist.url}/")
    assert asked.value.ok
    expect(blocked.locator("#host-metrics .metric")).to_have_count(5)
