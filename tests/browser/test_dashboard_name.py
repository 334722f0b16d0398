"""The dashboard's own name in a real Chromium, through the real Traefik: confirmed by a visit, or
gone again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Shoot
from tests.browser.test_web_walk import PASSWORD, fill, make_account, set_up
from tests.machine.live import LiveMist
from tests.machine.world import wait_until

pytestmark = pytest.mark.browser
PATIENCE = 30_000


def save_name(page: Page, mist: LiveMist, host: str) -> None:
    page.goto(f"{mist.url}/settings/addresses/")
    fill(page, Name=host)
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_text("Waiting for you at the new address")).to_be_visible()


def names_of(mist: LiveMist) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((mist.data_dir / "names.json").read_text())
    return found


def let_the_minute_pass(mist: LiveMist) -> None:
    """As a clock would that is set forward: what is on disk says that it is over."""
    file: Path = mist.data_dir / "names.json"
    fresh = file.with_suffix(".moved")
    fresh.write_text(json.dumps(names_of(mist) | {"trial_until": time.time() - 1}))
    fresh.replace(file)


def test_a_visit_by_the_new_name_confirms_it_and_none_takes_it_back(
    page: Page, mist: LiveMist, shoot: Shoot
) -> None:
    set_up(page, mist)
    make_account(page)
    port = mist.env["MIST_HTTP_PORT"]
    assert mist.visit("mist.localhost")[0] == 404

    save_name(page, mist, "mist.localhost")
    shoot(page, "addresses-trial")
    wait_until(lambda: mist.visit("mist.localhost", "/healthz/")[0] == 200, "the dashboard's route")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open mist.localhost").click()
    there = opened.value
    expect(there.get_by_role("heading", level=1)).to_have_text("Mist answers here now")
    shoot(there, "dashboard-confirmed")
    there.get_by_role("link", name="Go to the dashboard").click()
    fill(there, Email="alice@example.com", Password=PASSWORD)
    there.keyboard.press("Enter")
    expect(there.get_by_role("heading", level=1)).to_have_text("Projects")
    assert there.url == f"http://mist.localhost:{port}/"
    there.close()
    expect(page.get_by_text("Confirmed", exact=True)).to_be_visible(timeout=PATIENCE)

    # Nobody comes by this one: it goes back to the name before, which goes on to work.
    save_name(page, mist, "wrong.localhost")
    let_the_minute_pass(mist)
    expect(page.get_by_text("It went back")).to_be_visible(timeout=PATIENCE)
    shoot(page, "addresses-went-back")
    wait_until(lambda: mist.visit("wrong.localhost")[0] == 404, "the name that nobody came by")
    assert mist.visit("mist.localhost", "/healthz/")[0] == 200

    # So it does when Mist was killed in between; what leads there until then is turned away.
    save_name(page, mist, "wrong.localhost")
    mist.kill()
    let_the_minute_pass(mist)
    mist.run("up", "--detach")
    assert mist.visit("wrong.localhost", "/healthz/")[0] in (400, 404)
    wait_until(lambda: names_of(mist)["given_up"] == "wrong.localhost", "the trial's end")
    wait_until(lambda: mist.visit("wrong.localhost")[0] == 404, "the name that nobody came by")
    assert mist.visit("mist.localhost", "/healthz/")[0] == 200
    page.goto(f"{mist.url}/settings/addresses/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Addresses")
    # The doctor finds nothing strange in a route that is of no app.
    assert "mist-dashboard" not in mist.run("doctor", check=False)
