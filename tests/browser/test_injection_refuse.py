"""What a stranger can write somewhere (a commit, a log, a branch, a name) is never executed by a page, neither
as it comes with the page nor as it comes over the WebSocket. The browser itself says so: nothing has run, and
the content policy was not even needed."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.hostile import EVIL
from tests.browser.pages import DOCS, PAGES, WEB
from tests.browser.serving import Pages, serve_pages
from tests.browser.test_every_page import desk, exists, log_in

__all__ = ["desk"]
pytestmark = pytest.mark.browser
TEXTS = {
    "deployments_deployment": ["commit_message", "commit_author", "failure", "failure_hint", "ref"],
    "projects_app": ["branch", "dockerfile", "root_directory", "release_command", "health_path"],
    "domains_domain": ["host"],
    "accounts_user": ["name"],
    "projects_environmentvariable": ["name"],
}
"""Of each table what people or repositories write. That an app's or a project's own name is a name, its address
says: other text has no page."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("hostile") / "data"
    with serve_pages(folder, filled=True, engine="tests.browser.hostile") as pages:
        write_over(pages)
        yield pages


def write_over(pages: Pages) -> None:
    """Past every check, as if each had failed. Unique where it has to be."""
    evil = "".join(EVIL[:4])
    with contextlib.closing(sqlite3.connect(pages.data_dir / "mist.db", timeout=20)) as database:
        for table, columns in TEXTS.items():
            for column in columns:
                kind = "id || ?" if column in ("host", "name") else "?"
                database.execute(f"UPDATE {table} SET {column} = {kind}", (evil,))
        database.commit()


@pytest.fixture
def person(desk: BrowserContext, hostile: Pages) -> Page:
    # Also what only the browser knows: a policy that was broken in any page of this context.
    desk.add_init_script(
        "window.broken = []; addEventListener('securitypolicyviolation',"
        " event => broken.push(`${event.violatedDirective} ${event.blockedURI}`));"
    )
    return log_in(desk.new_page(), hostile, "alice")


def nothing_ran(page: Page) -> None:
    # The content policy forbids nothing to who drives the browser.
    assert page.evaluate("[window.executed ?? 0, window.broken]") == [0, []], page.url
    assert page.locator("[onerror], [onload], [onclick], iframe, base, [src=x]").count() == 0, (
        page.url
    )


def test_no_page_executes_what_strangers_wrote(person: Page, hostile: Pages) -> None:
    shown = 0
    for url_name, shots in PAGES.items():
        if not exists(url_name):
            continue
        for path in shots.values():
            answer = person.goto(f"{hostile.url}{path}")
            assert answer is not None and answer.status in (200, 404), path
            person.wait_for_timeout(150)
            nothing_ran(person)
            shown += "window.executed" in person.locator("body").inner_text()
    assert shown > 12


def test_no_palette_or_search_executes_it(person: Page, hostile: Pages) -> None:
    for text in ("script", "<script>", EVIL[0], EVIL[3]):
        person.goto(f"{hostile.url}/")
        person.keyboard.press("Control+k")
        person.locator("#palette [role=option]").first.wait_for()
        person.locator("#palette-input").fill(text)
        person.wait_for_timeout(500)
        nothing_ran(person)
        person.keyboard.press("Escape")
    person.goto(f"{hostile.url}/search/?q=%3Cscript%3Ewindow.executed%3D1%3C%2Fscript%3E")
    nothing_ran(person)


def test_no_live_update_executes_it(person: Page, hostile: Pages) -> None:
    pages = [person, person.context.new_page(), person.context.new_page()]
    paths = (f"{DOCS}/deployments/2/", f"{DOCS}/", f"{WEB}/logs/")
    for page, path in zip(pages, paths, strict=True):
        page.goto(f"{hostile.url}{path}")
    person.locator("main").get_by_text("window.executed").first.wait_for()
    before = [page.locator("main").inner_text() for page in pages[:2]]
    (hostile.data_dir / "hold").unlink()
    until = time.monotonic() + 60
    while any(p.locator("main").inner_text() == b for p, b in zip(pages, before, strict=False)):
        assert time.monotonic() < until, "nothing came over the WebSocket"
        person.wait_for_timeout(200)
    for page in pages:
        nothing_ran(page)


ADMIN = [
    "", "accounts/user/", "accounts/user/1/change/", "accounts/user/add/", "accounts/user/1/password/",
    "accounts/user/1/history/", "accounts/user/1/delete/", "projects/app/", "projects/app/1/change/",
    "projects/project/", "deployments/deployment/", "deployments/deployment/1/change/", "domains/domain/",
    "audit/auditevent/", "projects/environmentvariable/", "?nothing=1",
]  # fmt: skip


def test_the_django_admin_needs_nothing_that_the_policy_forbids(
    person: Page, hostile: Pages
) -> None:
    for path in ADMIN:
        answer = person.goto(f"{hostile.url}/admin/{path}")
        assert answer is not None and answer.status in (200, 302, 403, 404), (path, answer)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        nothing_ran(person)


def test_the_marker_would_show_if_something_ran(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content("".join(EVIL[:4]))
    page.wait_for_function("window.executed > 0")
    page.close()
