"""Logs in a real Chromium: two windows and a cut connection, a very long log, a container's output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests.browser.conftest import Shoot
from tests.engine.git_host import GitHost, Origin
from tests.machine.live import LiveMist
from tests.machine.world import unique_instance, wait_until

pytestmark = pytest.mark.browser
PASSWORD = "correct-horse-battery"
LINES = 400
DOCKERFILE = """\
FROM busybox
RUN : %s; i=0; while [ $i -lt 400 ]; do i=$((i+1)); printf '\\033[32mstep\\033[0m %%s <b>&amp;</b>\\n' $i; usleep %d; done
COPY serve.sh /serve.sh
EXPOSE 8000
CMD ["sh", "/serve.sh"]
"""
SERVE = """\
mkdir -p /www; echo ok > /www/index.html
httpd -p 8000 -h /www
i=0
while true; do i=$((i+1)); echo "out $i"; echo "err $i" >&2; sleep 0.2; done
"""


@pytest.fixture
def origin(git_host: GitHost) -> Origin:
    made = git_host.create("shop/chatty")
    made.commit({"Dockerfile": dockerfile(1_000), "serve.sh": SERVE}, "First version")
    return made


def dockerfile(pause: int) -> str:
    """So many microseconds between two lines of its build, which none finds in the cache."""
    return DOCKERFILE % (unique_instance(), pause)


@pytest.fixture
def inside(page: Page, mist: LiveMist, origin: Origin) -> Iterator[Page]:
    """Logged in, with an app whose build and container have a lot to say."""
    mist.run("up", "--detach")
    mist.run("createadmin", "alice@example.com", "--name", "Alice Archer", stdin=f"{PASSWORD}\n")
    mist.run("project_create", "shop")
    mist.run("app_create", "shop/chatty", "--repo", origin.url)
    page.goto(f"{mist.url}/login/")
    page.get_by_label("Email", exact=True).fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r":\d+/$"))
    yield page


def log_file(mist: LiveMist, deployment: int = 1) -> Path:
    return mist.data_dir / "logs" / f"{deployment}.log"


def wait_for_the_end(mist: LiveMist) -> None:
    """Return when the log has its last line: that the deployment is live is known a moment
    before."""
    wait_until(lambda: "» Live at" in log_file(mist).read_text(), "the last line")


def lines_of_file(mist: LiveMist) -> list[str]:
    """As a person reads them: without time, stage, colours and Mist's own mark."""
    raw = log_file(mist).read_text().splitlines()
    texts = [line.split(" ", 2)[2] for line in raw]
    return [re.sub(r"\x1b\[[0-9;]*m", "", text.removeprefix("» ")) for text in texts]


def lines_of_page(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        "[data-log-body] .ln-msg", "items => items.map((item) => item.textContent)"
    )
    return found


def numbers_of_page(page: Page) -> list[int]:
    found: list[int] = page.eval_on_selector_all(
        "[data-log-body] .ln", "items => items.map((item) => Number(item.dataset.n))"
    )
    return found


def until(page: Page, expression: str, seconds: float = 60) -> None:
    """Wait in small steps: Playwright's own waiting evaluates strings, which the page forbids, and
    a socket on its way through the test needs its turn."""
    for _ in range(int(seconds * 20)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression} never became true")


def test_two_windows_see_a_build_to_the_byte_though_one_loses_its_connection(
    inside: Page, context: BrowserContext, mist: LiveMist, origin: Origin
) -> None:
    # Long enough to open two windows and to cut one off twice meanwhile.
    origin.commit({"Dockerfile": dockerfile(50_000)}, "Take its time")
    routes: list[WebSocketRoute] = []
    cut = context.new_page()

    def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    cut.route_web_socket(re.compile("/ws/page/"), through)
    mist.run("deploy", "shop/chatty")
    address = f"{mist.url}/projects/shop/apps/chatty/deployments/1/"
    for page in (inside, cut):
        page.goto(address)
        expect(page.locator("[data-log-body]")).to_contain_text("step 20 ")
    for _ in range(2):
        known, before = len(routes), len(lines_of_page(cut))
        routes[-1].close()
        until(cut, f"document.querySelectorAll('[data-log-body] .ln').length > {before + 20}")
        for _ in range(200):
            if len(routes) > known:
                break
            cut.wait_for_timeout(50)
    assert len(routes) >= 3
    for page in (inside, cut):
        expect(page.locator("#deployment-state .status").first).to_have_text(
            "Live", timeout=180_000
        )
        expect(page.locator("[data-log-state]")).to_have_text("Ended")
    wait_for_the_end(mist)
    wanted = lines_of_file(mist)
    assert len(wanted) > LINES
    for page in (inside, cut):
        until(page, f"document.querySelectorAll('.ln').length >= {len(wanted)}")
        assert lines_of_page(page) == wanted
        assert numbers_of_page(page) == list(range(1, len(wanted) + 1))
    assert inside.locator(".ln-msg .a-green").count() >= LINES


def test_a_hundred_thousand_lines_stay_a_small_page(
    inside: Page, mist: LiveMist, shoot: Shoot
) -> None:
    mist.run("deploy", "shop/chatty", "--wait")
    wait_for_the_end(mist)
    long = "".join(
        f"{1767225600000 + n} building line {n}{' needle' if n % 25_000 == 7 else ''}\n"
        for n in range(1, 100_001)
    )
    log_file(mist).write_text(long)
    inside.goto(f"{mist.url}/projects/shop/apps/chatty/deployments/1/")
    assert numbers_of_page(inside)[-1] == 100_000
    inside.locator("[data-log-body]").evaluate("body => { body.scrollTop = 0; }")
    until(inside, "Number(document.querySelector('.ln').dataset.n) < 98000")
    numbers = numbers_of_page(inside)
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) <= 3_000

    inside.goto(f"{mist.url}/projects/shop/apps/chatty/deployments/1/#L50000")
    expect(inside.locator("#L50000")).to_be_in_viewport()
    expect(inside.locator("#L50000 .ln-msg")).to_have_text("line 50000")
    expect(inside.locator("#L50000")).to_have_attribute("data-target", "")
    until(
        inside,
        "(() => { const body = document.querySelector('[data-log-body]');"
        " body.scrollTop = body.scrollHeight;"
        " return Number([...document.querySelectorAll('.ln')].at(-1).dataset.n) > 52000; })()",
    )
    numbers = numbers_of_page(inside)
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) <= 3_000

    search = inside.get_by_label("Search in log")
    search.fill("NEEDLE")
    count = inside.locator("[data-log-count]")
    expect(count).to_have_text("1 of 4")
    expect(inside.locator("#L7")).to_be_in_viewport()
    for turn, number in ((2, 25_007), (3, 50_007), (4, 75_007), (1, 7)):
        search.press("Enter")
        expect(count).to_have_text(f"{turn} of 4")
        expect(inside.locator(f"#L{number} mark")).to_be_in_viewport()
    search.press("Shift+Enter")
    expect(count).to_have_text("4 of 4")
    assert len(numbers_of_page(inside)) <= 3_000
    shoot(inside, "log-long")


def test_output_goes_on_through_a_redeployment(
    inside: Page, context: BrowserContext, mist: LiveMist, shoot: Shoot
) -> None:
    mist.run("deploy", "shop/chatty", "--wait")
    inside.goto(f"{mist.url}/projects/shop/apps/chatty/logs/")
    body = inside.locator("[data-log-body]")
    expect(body).to_contain_text("err 3")
    expect(inside.locator(".ln[data-stream=err] .ln-err").first).to_have_attribute(
        "title", "Written to standard error"
    )
    body.evaluate("body => { body.scrollTop = 0; }")
    mist.run("deploy", "shop/chatty", "--wait")
    expect(body).to_contain_text("Deployment #2 took over")
    until(
        inside,
        "(() => { const items = [...document.querySelectorAll('[data-log-body] li')];"
        " const rule = items.findIndex((i) => i.className === 'ln-rule');"
        " return rule > 0 && items.length > rule + 10; })()",
    )
    for stream in ("out", "err"):
        for part in inside.evaluate(
            "stream => { const parts = [[]];"
            " for (const item of document.querySelectorAll('[data-log-body] li')) {"
            "  if (item.className === 'ln-rule') { parts.push([]); continue; }"
            "  const text = item.querySelector('.ln-msg').textContent;"
            "  if (text.startsWith(stream)) parts.at(-1).push(Number(text.slice(4))); }"
            " return parts; }",
            stream,
        ):
            assert part == list(range(part[0], part[0] + len(part)))
    shoot(inside, "logs-live")
    inside.goto(f"{mist.url}/projects/shop/apps/chatty/logs/?deployment=1")
    expect(inside.locator("[data-log-body]")).to_contain_text("out 3")
    shoot(inside, "logs-former")


def test_holding_keeps_the_place_and_counts_what_is_new(inside: Page, mist: LiveMist) -> None:
    mist.run("deploy", "shop/chatty", "--wait")
    inside.set_viewport_size({"width": 1440, "height": 500})
    inside.goto(f"{mist.url}/projects/shop/apps/chatty/logs/")
    until(inside, "document.querySelectorAll('.ln').length > 30")
    body = inside.locator("[data-log-body]")
    body.evaluate("body => { body.scrollTop = 40; }")
    fresh = inside.locator("[data-log-new]")
    expect(fresh).to_contain_text("new lines")
    expect(inside.locator("[data-log-state]")).to_contain_text("Held")
    assert body.evaluate("body => body.scrollTop") == 40
    fresh.click()
    expect(fresh).to_be_hidden()
    expect(inside.locator("[data-log-state]")).to_have_text("Following the log")
    assert body.evaluate("b => b.scrollHeight - b.scrollTop - b.clientHeight") < 24
