"""WebSockets of live pages: who may listen, and that each line arrives exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import events
from apps.deployments.lifecycle import next_number
from apps.deployments.logs import log_path
from apps.deployments.models import Deployment, Status
from apps.deployments.routing import websocket_urlpatterns
from apps.projects.models import App

pytestmark = pytest.mark.django_db(transaction=True)
Opened = list[WebsocketCommunicator]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """What a test has opened; closed in the end."""
    sockets: Opened = []
    yield sockets
    for socket in sockets:
        await socket.disconnect()


@pytest.fixture
def deployment(data_dir: Path, web: App) -> Deployment:
    log_path(1).parent.mkdir(parents=True, exist_ok=True)
    return Deployment.objects.create(
        app=web, number=next_number(web), ref="main", status=Status.BUILDING
    )


def write(deployment: Deployment, *numbers: int) -> int:
    """Append lines that say their number; returns the file's size."""
    with log_path(deployment.pk).open("ab") as file:
        file.writelines(b"1767225600000 building line %d\n" % number for number in numbers)
        return file.tell()


async def open_socket(
    opened: Opened, path: str, user: User | AnonymousUser
) -> tuple[WebsocketCommunicator, bool]:
    socket = WebsocketCommunicator(URLRouter(websocket_urlpatterns), path)
    cast(dict[str, Any], socket.scope)["user"] = user
    accepted, _ = await socket.connect()
    if accepted:
        opened.append(socket)
    return socket, accepted


async def read_until(socket: WebsocketCommunicator, number: int) -> list[list[Any]]:
    """Lines up to that one, in the order they came."""
    lines: list[list[Any]] = []
    while not lines or lines[-1][0] < number:
        frame = await socket.receive_json_from(timeout=10)
        lines += frame.get("lines", [])
    return lines


def announce(deployment: Deployment) -> None:
    events.log_grew(deployment_id=deployment.pk)


async def test_a_late_joiner_gets_every_line_once(
    opened: Opened, deployment: Deployment, alice: User
) -> None:
    write(deployment, *range(1, 2_501))
    socket, accepted = await open_socket(opened, f"/ws/deployments/{deployment.pk}/", alice)
    assert accepted
    first = await socket.receive_json_from(timeout=10)
    assert len(first["lines"]) == 1_000 and first["more"]
    assert first["lines"][0] == [1, 1767225600000, "building", "", "line 1"]
    rest = await read_until(socket, 2_500)
    assert [line[0] for line in first["lines"] + rest] == list(range(1, 2_501))
    assert await socket.receive_nothing()


async def test_new_lines_come_when_the_log_grows(
    opened: Opened, deployment: Deployment, alice: User
) -> None:
    write(deployment, 1)
    socket, _ = await open_socket(opened, f"/ws/deployments/{deployment.pk}/", alice)
    assert [line[0] for line in await read_until(socket, 1)] == [1]
    seen: list[int] = []
    for number in range(2, 40):
        write(deployment, number)
        await sync_to_async(announce)(deployment)
        if number % 3 == 0:  # Nudges may meet: some lines come together.
            seen += [line[0] for line in await read_until(socket, number)]
    assert seen == list(range(2, 40))
    assert await socket.receive_nothing()


async def test_a_page_that_comes_back_goes_on_where_it_was(
    opened: Opened, deployment: Deployment, alice: User
) -> None:
    size = write(deployment, 1, 2, 3)
    write(deployment, 4, 5)
    path = f"/ws/deployments/{deployment.pk}/?offset={size}&number=3"
    socket, _ = await open_socket(opened, path, alice)
    frame = await socket.receive_json_from(timeout=10)
    assert [line[0] for line in frame["lines"]] == [4, 5]
    assert frame["number"] == 5 and not frame["more"]
    assert await socket.receive_nothing()


async def test_it_tells_that_the_deployment_changed(
    opened: Opened, deployment: Deployment, alice: User
) -> None:
    paths = [f"/ws/deployments/{deployment.pk}/", f"/ws/apps/{deployment.app_id}/", "/ws/lobby/"]
    sockets = [(await open_socket(opened, path, alice))[0] for path in paths]
    await sync_to_async(events.deployment_changed)(
        deployment_id=deployment.pk, app_id=deployment.app_id
    )
    for socket in sockets:
        assert await socket.receive_json_from(timeout=10) == {"changed": True}


async def test_it_hears_nothing_of_other_deployments(
    opened: Opened, deployment: Deployment, alice: User
) -> None:
    socket, _ = await open_socket(opened, f"/ws/deployments/{deployment.pk}/", alice)
    await sync_to_async(events.deployment_changed)(deployment_id=deployment.pk + 1, app_id=99)
    assert await socket.receive_nothing()


async def test_what_a_page_says_is_ignored(
    opened: Opened, deployment: Deployment, alice: User
) -> None:
    socket, _ = await open_socket(opened, f"/ws/deployments/{deployment.pk}/", alice)
    await socket.send_to(text_data="no JSON")
    await socket.send_to(bytes_data=b"\xff")
    write(deployment, 1)
    await sync_to_async(announce)(deployment)
    assert [line[0] for line in await read_until(socket, 1)] == [1]


@pytest.mark.parametrize("path", ["/ws/deployments/{}/", "/ws/apps/{}/", "/ws/lobby/"])
async def test_nobody_who_is_not_logged_in_may_listen(
    opened: Opened, deployment: Deployment, alice: User, path: str
) -> None:
    pk = deployment.pk if "deployments" in path else deployment.app_id
    alice.is_active = False
    for user in (AnonymousUser(), alice):
        _, accepted = await open_socket(opened, path.format(pk), user)
        assert not accepted


@pytest.mark.parametrize("path", ["/ws/deployments/{}/", "/ws/apps/{}/"])
async def test_what_one_may_not_see_does_not_exist(
    opened: Opened, deployment: Deployment, alice: User, path: str
) -> None:
    pk = deployment.pk if "deployments" in path else deployment.app_id
    _, accepted = await open_socket(opened, path.format(pk + 1_000), alice)
    assert not accepted
    await database_sync_to_async(App.objects.update)(deleted_at=timezone.now())
    _, accepted = await open_socket(opened, path.format(pk), alice)
    assert not accepted
