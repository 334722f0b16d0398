"""Every live page's WebSocket, opened by everybody: it lets in whom its page lets in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.urls import reverse

from apps.deployments.logs import log_path
from apps.deployments.models import Deployment
from apps.live.pages import find_live_of
from tests.access.table import ALLOWED, DEVELOPER, PEOPLE, TABLE, VIEWER
from tests.access.test_every_address import World, addresses, world
from tests.live.test_page_socket import Pages, heard

__all__ = ["world"]
pytestmark = pytest.mark.django_db(transaction=True, reset_sequences=True)
LIVE = {str(pattern.name): pattern for pattern in addresses() if find_live_of(pattern.callback)}


@pytest.fixture
async def opened() -> AsyncIterator[list[Pages]]:
    made: list[Pages] = []
    yield made
    for pages in made:
        for socket in pages.opened:
            await socket.disconnect()


def pages_of(client: Client, opened: list[Pages]) -> Pages:
    opened.append(Pages(client))
    return opened[-1]


def path_of(name: str, world: World) -> str:
    converters = LIVE[name].pattern.converters
    return reverse(name, kwargs={key: world.values[key] for key in converters})


@pytest.mark.parametrize("person", PEOPLE)
async def test_a_socket_lets_in_whom_its_page_lets_in(
    person: str, world: World, opened: list[Pages]
) -> None:
    assert len(LIVE) > 10
    pages = pages_of(world.clients[person], opened)
    for name in sorted(LIVE):
        needs = TABLE[name]
        need = needs if isinstance(needs, str) else needs[0]
        path = path_of(name, world)
        socket = await pages.open(path)
        assert (socket is not None) is (person in ALLOWED[need]), f"{person} at {path}"
        if socket is not None:
            await heard(socket, "html")


@pytest.mark.parametrize(("person", "follows"), [(VIEWER, False), (DEVELOPER, True)])
async def test_a_build_log_is_streamed_to_developers_alone(
    person: str, follows: bool, world: World, opened: list[Pages]
) -> None:
    def write() -> None:
        with log_path(Deployment.objects.get().pk).open("ab") as file:
            file.write(b"1767225600000 building the secret plan\n")

    await sync_to_async(write)()
    pages = pages_of(world.clients[person], opened)
    socket = await pages.open(path_of("deployment", world), log_offset=0)
    assert socket is not None
    if follows:
        assert "the secret plan" in str(await heard(socket, "log"))
    else:
        assert "the secret plan" not in str(await heard(socket, "html"))
        assert await socket.receive_nothing(timeout=0.5)
