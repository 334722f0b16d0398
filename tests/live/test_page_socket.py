"""The one WebSocket of a page: who may open it, what it brings, and each log line exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.services import password_set
from apps.deployments import events, lifecycle
from apps.deployments.logs import log_path
from apps.deployments.models import Deployment, Status
from apps.deployments.queueing import next_number
from apps.projects.models import App
from mist_project.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)
ORIGIN = "http://mist.example.com"


class Pages:
    """Opens pages of one browser, and closes them in the end."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.opened: list[WebsocketCommunicator] = []

    async def open(
        self, path: str, *, origin: str = ORIGIN, **feed: object
    ) -> WebsocketCommunicator | None:
        """None when it was turned away."""
        cookies = "; ".join(f"{name}={m.value}" for name, m in self.client.cookies.items())
        socket = WebsocketCommunicator(
            application,
            "/ws/page/?"
            + urlencode({"path": path} | {k.replace("_", "."): v for k, v in feed.items()}),
            headers=[
                (b"host", b"mist.example.com"),
                (b"origin", origin.encode()),
                (b"cookie", cookies.encode()),
            ],
        )
        accepted, _ = await socket.connect(timeout=10)
        if not accepted:
            return None
        self.opened.append(socket)
        return socket


@pytest.fixture
async def pages(client: Client, alice: User) -> AsyncIterator[Pages]:
    await sync_to_async(client.force_login)(alice)
    made = Pages(client)
    yield made
    for socket in made.opened:
        await socket.disconnect()


@pytest.fixture
def deployment(data_dir: Path, web: App) -> Deployment:
    log_path(1).parent.mkdir(parents=True, exist_ok=True)
    return Deployment.objects.create(
        app=web, number=next_number(web), ref="main", status=Status.QUEUED
    )


def address(deployment: Deployment) -> str:
    return f"/projects/shop/apps/web/deployments/{deployment.number}/"


def write(deployment: Deployment, *numbers: int) -> int:
    """Append lines that say their number; returns the file's size."""
    with log_path(deployment.pk).open("ab") as file:
        file.writelines(b"1767225600000 building line %d\n" % number for number in numbers)
        return file.tell()


async def heard(socket: WebsocketCommunicator | None, name: str) -> Any:
    """The next message of that name."""
    assert socket is not None
    while True:
        frame = await socket.receive_json_from(timeout=10)
        if name in frame:
            return frame[name]


async def heard_parts(socket: WebsocketCommunicator | None) -> str:
    """The page's next parts; numbers that a dashboard gets each second are passed over."""
    while 'id="side-projects"' not in (html := await heard(socket, "html")):
        pass
    return str(html)


async def read_until(socket: WebsocketCommunicator | None, number: int) -> list[list[Any]]:
    """Log lines up to that one, in the order they came."""
    lines: list[list[Any]] = []
    while not lines or lines[-1][0] < number:
        lines += (await heard(socket, "log"))["lines"]
    return lines


async def grew(deployment: Deployment) -> None:
    await sync_to_async(events.log_grew)(deployment_id=deployment.pk)


async def test_a_late_joiner_gets_every_line_once(pages: Pages, deployment: Deployment) -> None:
    write(deployment, *range(1, 2_501))
    socket = await pages.open(address(deployment), log_offset=0)
    lines = await read_until(socket, 2_500)
    assert lines[0] == [1, 1767225600000, "building", "", "line 1"]
    assert [line[0] for line in lines] == list(range(1, 2_501))
    assert socket is not None and await socket.receive_nothing()


async def test_new_lines_come_when_the_log_grows(pages: Pages, deployment: Deployment) -> None:
    write(deployment, 1)
    socket = await pages.open(address(deployment), log_offset=0)
    assert [line[0] for line in await read_until(socket, 1)] == [1]
    seen: list[int] = []
    for number in range(2, 40):
        write(deployment, number)
        await grew(deployment)
        if number % 3 == 0:  # Nudges may meet: some lines come together.
            seen += [line[0] for line in await read_until(socket, number)]
    assert seen == list(range(2, 40))


async def test_a_page_that_comes_back_goes_on_where_it_was(
    pages: Pages, deployment: Deployment
) -> None:
    size = write(deployment, 1, 2, 3)
    write(deployment, 4, 5)
    socket = await pages.open(address(deployment), log_offset=size, log_number=3)
    assert [line[0] for line in await read_until(socket, 5)] == [4, 5]
    assert socket is not None and await socket.receive_nothing()


async def test_a_log_goes_on_after_going_live_until_its_worker_has_let_go(
    pages: Pages, deployment: Deployment
) -> None:
    """The line that says where it is live is written after it is, and more follow."""
    size = write(deployment, 1)
    live = Deployment.objects.filter(pk=deployment.pk)
    await database_sync_to_async(live.update)(
        status=Status.LIVE, owner="worker", finished_at=timezone.now()
    )
    page = (await sync_to_async(pages.client.get)(address(deployment))).content.decode()
    assert "data-place" in page and "data-over" not in page and "Following the log" in page
    socket = await pages.open(address(deployment), log_offset=size, log_number=1)
    assert "data-over" not in await heard(socket, "html")
    write(deployment, 2)
    await grew(deployment)
    assert [line[0] for line in await read_until(socket, 2)] == [2]
    held = await database_sync_to_async(live.get)()
    await database_sync_to_async(lifecycle.let_go)(held)
    assert "data-over" in await heard(socket, "html")
    page = (await sync_to_async(pages.client.get)(address(deployment))).content.decode()
    assert "data-place" not in page and "Ended" in page


async def test_it_brings_the_parts_that_changed(pages: Pages, deployment: Deployment) -> None:
    paths = ["/", "/projects/", "/projects/shop/", "/projects/shop/apps/web/", "/deployments/"]
    paths += ["/projects/shop/apps/web/deployments/", address(deployment)]
    sockets = [await pages.open(path) for path in paths]
    for socket in sockets:
        assert "failed" not in (await heard_parts(socket)).lower()
    await database_sync_to_async(lifecycle.move)(deployment, Status.FAILED, failure="It rained.")
    for path, socket in zip(paths, sockets, strict=True):
        html = await heard_parts(socket)
        assert "failed" in html.lower(), path
        assert "<html" not in html


async def test_it_says_nothing_when_nothing_that_it_shows_has_changed(
    pages: Pages, deployment: Deployment
) -> None:
    socket = await pages.open("/projects/shop/apps/web/settings/")
    await heard(socket, "html")
    await sync_to_async(events.app_changed)(app_id=deployment.app_id)
    assert socket is not None and await socket.receive_nothing(0.5)


async def test_what_a_page_says_does_no_harm(pages: Pages, deployment: Deployment) -> None:
    socket = await pages.open(address(deployment), log_offset=0)
    assert socket is not None
    for text in ("no JSON", "[1]", '{"log": 5}', '{"nothing": {}}', '{"log": {"taken": "x"}}'):
        await socket.send_to(text_data=text)
    await socket.send_to(text_data="x" * 10_000)
    await socket.send_to(bytes_data=b"\xff")
    write(deployment, 1)
    await grew(deployment)
    assert [line[0] for line in await read_until(socket, 1)] == [1]


@pytest.mark.parametrize(
    "path",
    ["/", "/projects/shop/", "/projects/shop/apps/web/", "/projects/shop/apps/web/deployments/1/"],
)
async def test_nobody_who_is_not_logged_in_may_listen(
    pages: Pages, deployment: Deployment, alice: User, path: str
) -> None:
    assert await pages.open(path) is not None
    assert await Pages(Client()).open(path) is None
    await database_sync_to_async(User.objects.update)(is_active=False)
    assert await pages.open(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/nope/",
        "/login/",
        "/healthz/",
        "/account/",
        "//evil.example.com/",
        "http://evil.example.com/",
        "/projects/shop/apps/nope/",
        "/projects/shop/apps/web/deployments/99/",
        "/projects/shop/apps/web/deploy/",
    ],
)
async def test_only_live_pages_that_one_may_see_have_a_socket(
    pages: Pages, deployment: Deployment, path: str
) -> None:
    assert await pages.open(path) is None


async def test_a_page_of_another_site_is_turned_away(pages: Pages) -> None:
    for origin in ("http://evil.example.com", ""):
        assert await pages.open("/", origin=origin) is None


async def test_it_ends_when_its_app_is_deleted(pages: Pages, deployment: Deployment) -> None:
    socket = await pages.open("/projects/shop/apps/web/")
    await heard(socket, "html")
    await database_sync_to_async(App.objects.update)(deleted_at=timezone.now())
    await sync_to_async(events.app_changed)(app_id=deployment.app_id)
    await _is_closed(socket)


async def test_it_ends_when_the_person_is_logged_out_everywhere(pages: Pages, alice: User) -> None:
    socket = await pages.open("/")
    await heard(socket, "html")
    await database_sync_to_async(password_set)(user=alice, password="another-horse-battery")
    await _is_closed(socket)


async def test_it_ends_when_the_person_logs_out(pages: Pages) -> None:
    socket = await pages.open("/")
    await heard(socket, "html")
    await sync_to_async(pages.client.post)("/logout/")
    await _is_closed(socket)


async def test_it_ends_when_its_session_is_ended_elsewhere(pages: Pages, alice: User) -> None:
    socket = await pages.open("/")
    await heard(socket, "html")
    elsewhere = Client()
    await sync_to_async(elsewhere.force_login)(alice)
    await sync_to_async(elsewhere.post)("/account/sessions/end/")
    await _is_closed(socket)


async def test_who_lacks_a_second_factor_that_is_asked_for_opens_none(
    pages: Pages, settings: Settings
) -> None:
    settings.MIST_REQUIRE_2FA = "admins"
    assert await pages.open("/") is None


async def _is_closed(socket: WebsocketCommunicator | None) -> None:
    assert socket is not None
    while (message := await socket.receive_output(timeout=10))["type"] != "websocket.close":
        assert message["type"] == "websocket.send"
