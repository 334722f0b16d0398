"""Open pages of who may not see them any more close, at once and in every way one can lose it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client

from apps.accounts.models import InstanceRole, User
from apps.accounts.people_services import person_deactivate, person_delete, person_update
from apps.deployments.models import Deployment
from apps.projects.member_services import member_change, member_put, member_remove
from apps.projects.models import App, Membership, ProjectRole
from tests.live.test_page_socket import Pages, deployment, heard

__all__ = ["deployment"]
pytestmark = pytest.mark.django_db(transaction=True)
WEB = "/projects/shop/apps/web/"


@pytest.fixture
def bob(web: App) -> User:
    bob = User.objects.create_user("bob@example.com", name="Bob")
    member_put(project=web.project, user=bob, role=ProjectRole.DEVELOPER, created_by=None)
    return bob


@pytest.fixture
async def his(bob: User) -> AsyncIterator[Pages]:
    client = Client()
    await sync_to_async(client.force_login)(bob)
    made = Pages(client)
    yield made
    for socket in made.opened:
        await socket.disconnect()


def remove(bob: User, alice: User) -> None:
    member_remove(member=Membership.objects.get(user=bob))


def deactivate(bob: User, alice: User) -> None:
    person_deactivate(person=bob, by=alice)


def delete(bob: User, alice: User) -> None:
    person_delete(person=bob, heir=alice, by=alice)


async def closed(socket: WebsocketCommunicator | None) -> None:
    assert socket is not None
    while (message := await socket.receive_output(timeout=10))["type"] != "websocket.close":
        assert message["type"] == "websocket.send"


@pytest.mark.parametrize("lose", [remove, deactivate, delete])
@pytest.mark.parametrize("path", [WEB, f"{WEB}deployments/1/", f"{WEB}logs/", "/projects/shop/"])
async def test_an_open_page_closes(
    lose: Callable[[User, User], None],
    path: str,
    his: Pages,
    bob: User,
    alice: User,
    deployment: Deployment,
) -> None:
    socket = await his.open(path)
    await heard(socket, "html")
    await database_sync_to_async(lose)(bob, alice)
    await closed(socket)
    assert await his.open(path) is None


@pytest.mark.parametrize("lose", [deactivate, delete])
async def test_a_list_closes_for_who_is_locked_out(
    lose: Callable[[User, User], None], his: Pages, bob: User, alice: User, deployment: Deployment
) -> None:
    socket = await his.open("/")
    await heard(socket, "html")
    await database_sync_to_async(lose)(bob, alice)
    await closed(socket)


async def test_the_output_closes_for_who_becomes_a_viewer(
    his: Pages, bob: User, deployment: Deployment
) -> None:
    socket = await his.open(f"{WEB}logs/")
    await heard(socket, "html")

    def lower() -> None:
        member_change(member=Membership.objects.get(user=bob), role=ProjectRole.VIEWER)

    await database_sync_to_async(lower)()
    await closed(socket)


async def test_the_server_page_closes_for_who_is_no_admin_any_more(
    his: Pages, bob: User, alice: User, deployment: Deployment
) -> None:
    def become(role: InstanceRole) -> None:
        person_update(person=bob, name="Bob", role=role, by=alice)

    await database_sync_to_async(become)(InstanceRole.ADMIN)
    socket = await his.open("/server/")
    await heard(socket, "html")
    await database_sync_to_async(become)(InstanceRole.MEMBER)
    await closed(socket)
