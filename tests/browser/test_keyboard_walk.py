"""Mist by keyboard alone: every step is possible, and one always sees where one is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.serving import PASSWORD, Pages, serve_pages

pytestmark = pytest.mark.browser
WEB = "/projects/shop/apps/web"
FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return "nowhere";
  const drawn = (e, pseudo) => {
    const style = getComputedStyle(e, pseudo);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  };
  const box = element.getBoundingClientRect();
  const on = [element, element.closest(".input-group")].filter(Boolean).some((e) => drawn(e));
  const line = element.closest(".palette-input");
  const shown = on || drawn(element, "::after") || (line && getComputedStyle(line).boxShadow !== "none");
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const name = element.getAttribute("aria-label") || element.textContent.trim().slice(0, 40) || element.name;
  if (!shown) return `not seen: ${element.outerHTML.slice(0, 120)}`;
  return inside ? `${element.tagName} ${name}` : `off the screen: ${element.outerHTML.slice(0, 120)}`;
}"""
BAD = ("nowhere", "not seen", "off the screen")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serve_pages(tmp_path_factory.mktemp("keyboard") / "data", filled=True) as pages:
        yield pages


@pytest.fixture
def desk(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def page(desk: BrowserContext, filled: Pages) -> Page:
    """Logged in without a mouse."""
    page = desk.new_page()
    page.goto(f"{filled.url}/login/")
    tab_to(page, "Email|email")
    page.keyboard.type("alice@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{filled.url}/")
    return page


def focus(page: Page) -> str:
    """What has the focus; fails when nobody could see it."""
    where = str(page.evaluate(FOCUS))
    assert not where.startswith(BAD), f"{page.url}: {where}"
    return where


def tab_to(page: Page, name: str, most: int = 60) -> None:
    """Press Tab until the focus is on something of that name; it is seen all the way."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if re.search(name, focus(page)):
            return
    raise AssertionError(f"Tab never came to {name} on {page.url}")


def test_from_the_palette_to_a_deployment_and_back(page: Page, filled: Pages) -> None:
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [role=option]").first).to_be_visible()
    focus(page)
    page.keyboard.type("web")
    # The answer to all three letters: one that came now would choose its first line again.
    expect(page.locator("#palette mark").first).to_have_text("web")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#palette [aria-selected=true]")
    expect(chosen).to_contain_text("Deploy shop / web")
    active = page.locator("#palette-input").get_attribute("aria-activedescendant")
    assert chosen.get_attribute("id") == active
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{filled.url}{WEB}/")

    tab_to(page, "^BUTTON Deploy$")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/deployments/\d+/$"))
    tab_to(page, "Skip to content")
    page.keyboard.press("Enter")
    tab_to(page, "Cancel deployment|Search in log|Deploy again|Open app")

    page.keyboard.press("o")
    page.wait_for_url(f"{filled.url}{WEB}/")
    for key, path in (("d", "deployments"), ("l", "logs"), ("e", "environment"), ("n", "domains")):
        page.keyboard.press(key)
        page.wait_for_url(f"{filled.url}{WEB}/{path}/")
        tab_to(page, "Skip to content")
    page.go_back()
    page.wait_for_url(f"{filled.url}{WEB}/environment/")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url(f"{filled.url}/")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/projects/",
        "/projects/shop/",
        "/projects/shop/new-app/",
        "/deployments/",
        "/server/",
        f"{WEB}/",
        f"{WEB}/deployments/",
        f"{WEB}/deployments/1/rollback/",
        f"{WEB}/deployments/2/",
        f"{WEB}/logs/",
        f"{WEB}/metrics/",
        f"{WEB}/stop/",
        f"{WEB}/environment/",
        f"{WEB}/domains/",
        f"{WEB}/settings/",
        f"{WEB}/deployments/3/",
        "/search/?q=web",
        "/settings/",
        "/account/",
        "/new-project/",
    ],
)
def test_one_sees_where_one_is_all_the_way_through(page: Page, filled: Pages, path: str) -> None:
    page.goto(f"{filled.url}{path}")
    seen: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # The end of the page: the browser's own bar comes next.
        seen.append(focus(page))
    assert len(seen) > 8
    assert seen[0].startswith("A Skip to content") or "autofocus" in page.content()


def test_what_opens_gives_the_focus_back(page: Page, filled: Pages) -> None:
    page.goto(f"{filled.url}{WEB}/")
    tab_to(page, "Stop")
    page.keyboard.press("Enter")
    expect(page.locator("#confirm h2")).to_have_text("Stop web?")
    focus(page)
    page.keyboard.press("Escape")
    expect(page.locator("#confirm[open]")).to_have_count(0)
    assert focus(page).startswith("A Stop")
    for keys, dialog in (("Control+k", "#palette"), ("?", "#shortcuts")):
        page.keyboard.press(keys)
        expect(page.locator(f"{dialog}[open]")).to_have_count(1)
        focus(page)
        page.keyboard.press("Escape")
        expect(page.locator(f"{dialog}[open]")).to_have_count(0)
        assert focus(page).startswith("A Stop")


def test_the_palette_runs_commands_and_asks_first_where_something_stops(
    page: Page, filled: Pages
) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("stop api")
    page.keyboard.press("Enter")
    expect(page.locator("#confirm h2")).to_have_text("Stop api?")
    page.keyboard.press("Escape")
    assert page.url == f"{filled.url}/"
    page.keyboard.press("Control+k")
    page.keyboard.type("restart api")
    expect(page.locator("#palette [aria-selected=true]")).to_contain_text("Restart shop / api")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{filled.url}/projects/shop/apps/api/")
    expect(page.locator(".toast").first).to_contain_text("api is being restarted")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="Deploy shop / api")).to_be_visible()


def test_recent_pages_come_first(page: Page, filled: Pages) -> None:
    page.goto(f"{filled.url}{WEB}/logs/")
    page.goto(f"{filled.url}{WEB}/deployments/2/")
    page.goto(f"{filled.url}/account/")
    page.keyboard.press("Control+k")
    first = page.locator("#palette [role=group]").first
    expect(first).to_contain_text("Recent")
    options = first.get_by_role("option")
    expect(options.nth(0)).to_contain_text("#2 shop / web")
    expect(options.nth(1)).to_contain_text("shop / web, Logs")


def test_a_key_in_a_field_is_only_a_letter(page: Page, filled: Pages) -> None:
    page.goto(f"{filled.url}/new-project/")
    page.get_by_label("Name").focus()
    page.keyboard.type("gp/c?d")
    assert page.get_by_label("Name").input_value() == "gp/c?d"
    assert page.url == f"{filled.url}/new-project/"
    page.goto(f"{filled.url}/projects/")
    page.keyboard.press("/")
    page.keyboard.type("web")
    assert page.get_by_role("searchbox").input_value() == "web"


def test_single_keys_can_be_switched_off(page: Page, filled: Pages) -> None:
    page.goto(f"{filled.url}/account/")
    page.get_by_role("switch", name=re.compile("Single-key")).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Save shortcuts").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".toast").first).to_contain_text("Single-key shortcuts are off")
    page.wait_for_load_state()  # Its scripts hear keys from then on.
    page.keyboard.press("?")
    page.keyboard.press("c")
    assert page.url == f"{filled.url}/account/"
    assert page.locator("#shortcuts[open]").count() == 0
    page.keyboard.press("Control+k")
    expect(page.locator("#palette[open]")).to_have_count(1)
    page.keyboard.press("Escape")
    page.get_by_role("switch", name=re.compile("Single-key")).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Save shortcuts").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".toast").first).to_contain_text("Single-key shortcuts are on")
