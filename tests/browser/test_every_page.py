"""Every page, in both themes, on a desk and on a phone: no accessibility violation, nothing wider than
the screen, and a picture of it in tests/shots/ for a person to look at."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.urls import NoReverseMatch, reverse
from playwright.sync_api import Browser, BrowserContext, Page, Request

from apps.accounts.models import User
from apps.deployments.services import deployment_request
from apps.engine.base import Engine
from apps.projects.models import App
from tests.browser.conftest import SHOTS
from tests.browser.desk import desk_browser
from tests.browser.filled import SILENCE
from tests.browser.pages import ELSEWHERE, PAGES, PARTS, WEB
from tests.browser.serving import PASSWORD, Pages, serve_pages
from tests.system.test_page_access import every_url

pytestmark = [pytest.mark.browser, pytest.mark.long(9)]
Looks = list[tuple[str, str, tuple[int, int]]]
LOOKS: Looks = [
    (theme, name, size)
    for theme in ("light", "dark")
    for name, size in (("desk", (1440, 900)), ("phone", (390, 844)))
]
DEVICES = [[one for one in LOOKS if one[1] == device] for device in ("desk", "phone")]
"""Both themes of each, for pages that are reached by pressing what is on a page."""
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""The rules of axe that depend on colours and run unasked."""
LAST = ("user", "member", "invitation", "pk", "kind")
"""What else an address may end with."""
axe = Axe()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serve_pages(tmp_path_factory.mktemp("filled") / "data", filled=True) as pages:
        yield pages


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serve_pages(tmp_path_factory.mktemp("fresh") / "data", filled=False) as pages:
        yield pages


@pytest.fixture
def desk(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser whose pages may not complain."""
    with desk_browser(chromium) as context:
        yield context


@pytest.fixture
def person(desk: BrowserContext, filled: Pages) -> Page:
    return log_in(desk.new_page(), filled, "alice")


def log_in(page: Page, pages: Pages, name: str) -> Page:
    page.goto(f"{pages.url}/login/")
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{pages.url}/")
    return page


def look(page: Page, theme: str, size: tuple[int, int]) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.set_viewport_size({"width": size[0], "height": size[1]})


def in_looks(page: Page, name: str, looks: Looks) -> list[str]:
    """Inspect the open page in these looks without loading it again: size and theme follow the
    browser. The themes differ in nothing but colours, so in the dark only the rules about those run."""
    wrong: list[str] = []
    for theme, device, size in looks:
        look(page, theme, size)
        wrong += picture(page, name, theme, device)
        rules = COLOUR_RULES if theme == "dark" else None
        wrong += violations(page, f"{name} {theme} {device}", rules)
    begin(page, looks)
    return wrong


def begin(page: Page, looks: Looks) -> None:
    theme, _, size = looks[0]
    look(page, theme, size)


def picture(page: Page, name: str, theme: str, device: str) -> list[str]:
    """Keep a picture; says when the page is wider than the screen, or not in the theme asked for."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{theme}-{device}.png", full_page=device == "phone")
    wider = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    found = [f"{name} {theme} {device}: {wider} px too wide"] if wider > 0 else []
    is_dark = page.evaluate("document.documentElement.classList.contains('dark')")
    return found if is_dark == (theme == "dark") else [*found, f"{name} {device}: not {theme}"]


def violations(page: Page, where: str, rules: list[str] | None = None) -> list[str]:
    """What axe finds; `rules` are the only ones to run."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe.axe_script)
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = {"type": "rule", "values": rules}
    result = page.evaluate("options => axe.run(options)", options)
    return [
        f"{where}: {found['id']}: " + "; ".join(node["html"][:160] for node in found["nodes"][:3])
        for found in result["violations"]
    ]


def exists(url_name: str) -> bool:
    things = [[], ["project"], ["project", "app"], ["project", "app", "number"]]
    for names in (*things, *([*way, last] for way in things[:2] for last in LAST)):
        try:
            reverse(url_name, kwargs=dict.fromkeys(names, 1))
            return True
        except NoReverseMatch:
            continue
    return url_name == ""


def test_it_looks_at_every_page_there_is(
    client: Client, alice: User, web: App, engine: Engine
) -> None:
    """Fails for a new page that nobody has added to the table above."""
    client.force_login(alice)
    deployment_request(app=web, requested_by=alice)
    pages = set()
    for name, path in every_url():
        answer = client.get(path)
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            pages.add(name)
    assert pages - set(PAGES) - ELSEWHERE - PARTS == set()


def test_every_page_is_accessible_and_fits(person: Page, filled: Pages) -> None:
    begin(person, LOOKS)
    wrong: list[str] = []
    for url_name, shots in PAGES.items():
        if not exists(url_name):
            continue
        for name, path in shots.items():
            person.goto(f"{filled.url}{path}")
            wrong += in_looks(person, name, LOOKS)
    assert wrong == []


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_what_opens_on_a_page_is_accessible_too(person: Page, filled: Pages, looks: Looks) -> None:
    begin(person, looks)
    wrong: list[str] = []
    person.goto(f"{filled.url}{WEB}/")
    person.keyboard.press("Control+k")
    person.locator("#palette [role=option]").first.wait_for()
    wrong += in_looks(person, "palette-recent", looks)
    person.keyboard.type("web")
    person.locator("#palette mark").first.wait_for()
    wrong += in_looks(person, "palette", looks)
    person.keyboard.type("zebra")
    person.locator("#palette .palette-none").wait_for()
    wrong += in_looks(person, "palette-none", looks)
    person.keyboard.press("Escape")
    person.keyboard.press("?")
    person.locator("#shortcuts h2").wait_for()
    wrong += in_looks(person, "shortcuts", looks)
    person.keyboard.press("Escape")
    person.locator("[popovertarget=user-menu]").click()
    wrong += in_looks(person, "user-menu", looks)
    person.keyboard.press("Escape")
    person.get_by_role("link", name="Stop", exact=True).click()
    person.locator("#confirm h2").wait_for()
    wrong += in_looks(person, "confirm", looks)
    assert wrong == []


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_what_is_shown_once_is_accessible_too(person: Page, filled: Pages, looks: Looks) -> None:
    begin(person, looks)
    wrong: list[str] = []
    for kind in ("GitHub", "GitLab", "Gitea or Forgejo", "Bitbucket"):
        person.goto(f"{filled.url}{WEB}/source/webhooks/{kind.split()[0].lower()}/secret/")
        person.get_by_role("button", name="Make").click()
        person.locator("#new-webhook h2").wait_for()
        wrong += in_looks(person, f"webhook-made-{kind.split()[0].lower()}", looks)
    person.goto(f"{filled.url}{WEB}/source/")
    person.locator("#deploy-hooks").get_by_label("Name").fill("Weekly build")
    person.get_by_role("button", name="Make deploy hook").click()
    person.locator("#new-hook h2").wait_for()
    wrong += in_looks(person, "deploy-hook-made", looks)
    assert wrong == []


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_an_audit_event_unfolds(person: Page, filled: Pages, looks: Looks) -> None:
    begin(person, looks)
    person.goto(f"{filled.url}/audit/?action=app.create")
    person.locator("details[id^=event-] summary").first.click()
    person.get_by_role("link", name="All about").first.wait_for()
    assert in_looks(person, "audit-open", looks) == []


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_what_a_silent_engine_looks_like(person: Page, filled: Pages, looks: Looks) -> None:
    begin(person, looks)
    silent = filled.data_dir / "silent"
    silent.touch()
    with contextlib.closing(sqlite3.connect(filled.data_dir / "mist.db", timeout=30)) as database:
        # Mist itself would find out within half a minute.
        database.execute(
            "INSERT OR REPLACE INTO deployments_enginestate (id, problem, since)"
            f" VALUES (1, '{SILENCE}', datetime('now', '-2 minutes'))"
        )
        database.commit()
    person.goto(f"{filled.url}{WEB}/")
    person.locator("#engine-state .alert").wait_for()
    assert in_looks(person, "engine-silent", looks) == []
    silent.unlink()


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_forms_with_errors_are_accessible_too(person: Page, filled: Pages, looks: Looks) -> None:
    begin(person, looks)
    wrong: list[str] = []
    person.goto(f"{filled.url}/projects/shop/new-app/")
    person.get_by_label("Name", exact=True).fill("Not A Name")
    person.get_by_label("Git repository").fill("file:///etc")
    person.get_by_role("button", name="Create app").click()
    person.locator("[aria-invalid=true]").first.wait_for()
    assert person.get_by_label("Name", exact=True).input_value() == "Not A Name"
    wrong += in_looks(person, "app-new-errors", looks)
    person.goto(f"{filled.url}{WEB}/environment/")
    person.locator("#paste summary").click()
    person.locator("#paste textarea").fill("NO VALUE\nGOOD=1")
    person.get_by_role("button", name="Save variables").click()
    person.get_by_text("Nothing was saved").wait_for()
    wrong += in_looks(person, "app-environment-errors", looks)
    person.goto(f"{filled.url}{WEB}/domains/")
    person.get_by_label("Domain", exact=True).fill("not a name")
    person.get_by_role("button", name="Add domain").click()
    person.locator("[aria-invalid=true]").first.wait_for()
    wrong += in_looks(person, "app-domains-errors", looks)
    person.goto(f"{filled.url}{WEB}/traffic/")
    person.locator("#allowed_allowed_networks").fill("10.0.0.0/33")
    person.get_by_role("button", name="Save addresses").click()
    person.locator("[aria-invalid=true]").first.wait_for()
    wrong += in_looks(person, "app-traffic-errors", looks)
    person.goto(f"{filled.url}/projects/shop/certificates/")
    person.get_by_label("Certificate", exact=True).fill("no certificate")
    person.get_by_label("Private key", exact=True).fill("no key")
    person.get_by_role("button", name="Save certificate").click()
    person.locator("[aria-invalid=true]").first.wait_for()
    assert person.get_by_label("Private key", exact=True).input_value() == ""
    wrong += in_looks(person, "certificates-errors", looks)
    assert wrong == []


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_a_new_token_is_shown_once_and_accessible(
    person: Page, filled: Pages, looks: Looks
) -> None:
    begin(person, looks)
    person.goto(f"{filled.url}/account/tokens/")
    person.locator("#token-form summary").click()
    person.get_by_label("Name", exact=True).fill("CI of tidewater")
    person.locator("[name=scopes][value=deploy]").check()
    wrong = in_looks(person, "token-form", looks)
    person.get_by_role("button", name="Make token").click()
    secret = person.locator("#new-secret").inner_text()
    assert secret.startswith("mist_") and person.url == f"{filled.url}/account/tokens/"
    wrong += in_looks(person, "token-new", looks)
    person.goto(f"{filled.url}/account/tokens/")
    assert secret not in person.content() and secret[:11] in person.content()
    assert wrong == []


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_pages_for_who_is_not_an_administrator_are_accessible_too(
    desk: BrowserContext, filled: Pages, looks: Looks
) -> None:
    page = desk.new_page()
    begin(page, looks)
    page.goto(f"{filled.url}/login/")
    wrong = in_looks(page, "login", looks)
    page.get_by_label("Email").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").first.wait_for()
    wrong += in_looks(page, "login-error", looks)
    log_in(page, filled, "charlie").goto(f"{filled.url}/settings/")
    assert page.get_by_text("You may not do this").is_visible()
    wrong += in_looks(page, "error-403", looks)
    for name, path in (
        ("viewer-dashboard", "/"),
        ("viewer-project", "/projects/shop/"),
        ("viewer-members", "/projects/shop/members/"),
        ("viewer-app", f"{WEB}/"),
        ("viewer-deployment", f"{WEB}/deployments/3/"),
        ("viewer-environment", f"{WEB}/environment/"),
        ("viewer-domains", f"{WEB}/domains/"),
        ("viewer-traffic", f"{WEB}/traffic/"),
        ("viewer-deployments", "/deployments/"),
    ):
        page.goto(f"{filled.url}{path}")
        wrong += in_looks(page, name, looks)
    assert wrong == []


@pytest.mark.parametrize("looks", DEVICES, ids=["desk", "phone"])
def test_an_invitation_is_accessible_too(
    person: Page, chromium: Browser, filled: Pages, looks: Looks
) -> None:
    begin(person, looks)
    person.goto(f"{filled.url}/users/invitations/")
    person.get_by_label("Email").fill("eve@example.com")
    person.get_by_role("button", name="Invite").click()
    link = person.locator("#invitation-link").inner_text()
    wrong = in_looks(person, "invitation-link", looks)
    address = filled.url + "/" + link.split("/", 3)[3]
    person.goto(address)
    wrong += in_looks(person, "invitation-wrong-account", looks)
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    begin(page, looks)
    page.goto(address)
    wrong += in_looks(page, "invitation", looks)
    page.get_by_label("Name").fill("Eve")
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_role("button", name="Create account").click()
    page.locator("[aria-invalid=true]").first.wait_for()
    wrong += in_looks(page, "invitation-errors", looks)
    page.goto(f"{filled.url}/join/nothing/")
    wrong += in_looks(page, "invitation-gone", looks)
    context.close()
    assert wrong == []


def test_the_first_pages_are_accessible_too(desk: BrowserContext, fresh: Pages) -> None:
    token = (fresh.data_dir / "setup-token").read_text().strip()
    page = desk.new_page()
    wrong: list[str] = []
    begin(page, LOOKS)
    page.goto(f"{fresh.url}/setup/{token}/")
    wrong += in_looks(page, "setup", LOOKS)
    page.get_by_label("Name").fill("Alice Archer")
    page.get_by_label("Email").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url(f"{fresh.url}/")
    for name, path in (
        ("dashboard-empty", "/"),
        ("projects-empty", "/projects/"),
        ("deployments-empty", "/deployments/"),
        ("setup-done", f"/setup/{token}/"),
    ):
        page.goto(f"{fresh.url}{path}")
        wrong += in_looks(page, name, LOOKS)
    assert wrong == []


FIRST_LOAD_MAX = 200 * 1024
"""Bytes over the wire of style sheets, scripts and fonts, for who has never been here."""


@pytest.mark.parametrize(
    "path", ["/", f"{WEB}/", f"{WEB}/metrics/", f"{WEB}/logs/", f"{WEB}/deployments/2/"]
)
def test_a_first_page_is_light_and_kept(
    chromium: Browser, person: Page, filled: Pages, path: str
) -> None:
    context = chromium.new_context(storage_state=person.context.storage_state())
    page = context.new_page()
    sizes: dict[str, int] = {}

    def count(request: Request) -> None:
        if "/static/" in request.url:
            sizes[request.url] = request.sizes()["responseBodySize"]
            response = request.response()
            assert response is not None and "immutable" in response.headers["cache-control"]

    page.on("requestfinished", count)
    page.goto(f"{filled.url}{path}", wait_until="networkidle")
    context.close()
    assert all(url.startswith(filled.url) for url in sizes)
    assert len(sizes) > 5 and sum(sizes.values()) < FIRST_LOAD_MAX, sizes
