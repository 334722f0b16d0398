"""What the web server keeps of a body that may be large: only for whom it may be."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from apps.accounts.models import User
from apps.engine.fake import FakeEngine
from apps.engine.kept_push import HEADROOM
from apps.projects.models import App, ProjectRole
from mist_project.asgi import BODY_MAX
from mist_project.large_bodies import LARGE_SECONDS, is_large
from mist_project.web_server import REQUEST_SECONDS, PageFactory, PageRequest

pytestmark = pytest.mark.django_db(transaction=True)
MB = 1024 * 1024
PUSH = "/git/shop/pushed.git/git-receive-pack"
UPLOAD = "/projects/shop/apps/pushed/source/upload/"
Person = Callable[..., str]


class Sent:
    """A request whose body comes in pieces of 1 MB, at a web server without a network."""

    def __init__(self, path: str, **headers: str) -> None:
        self.path = path
        server = SimpleNamespace(
            protocol_connected=lambda p: None, protocol_disconnected=lambda p: None
        )
        self.clock = Clock()
        self.channel: Any = PageFactory(server).buildProtocol(None)
        self.channel.callLater = self.clock.callLater
        self.transport = StringTransport()  # type: ignore[no-untyped-call]
        self.channel.makeConnection(self.transport)
        named = {"Host": "localhost", "Content-Length": "999999999", **headers}
        lines = [f"POST {path} HTTP/1.1", *(f"{n}: {v}" for n, v in named.items()), "", ""]
        self.channel.dataReceived("\r\n".join(lines).encode())

    @property
    def request(self) -> PageRequest:
        found: PageRequest = self.channel.requests[0]
        return found

    async def answered(self) -> None:
        """Somebody has said how large it may be."""
        assert self.transport.producerState == "paused", "nothing is read before"
        for _ in range(1_000):
            if self.transport.producerState == "producing":
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody was asked")

    def drip(self, seconds: float) -> bool:
        """Send a byte now and then for so long; whether the server has had enough."""
        while seconds > 0 and not self.transport.disconnecting:
            self.clock.advance(10)
            seconds -= 10
            if not self.transport.disconnecting:
                self.channel.dataReceived(b"a")
        return bool(self.transport.disconnecting)

    def send(self, megabytes: int) -> int:
        """Bytes that are kept of so many."""
        for _ in range(megabytes):
            self.channel.dataReceived(bytes(MB))
        assert self.request.large is not None
        return self.request.large.file.tell() - (HEADROOM if self.path == PUSH else 0)


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()


async def test_a_push_is_kept_up_to_the_limit_and_has_time(
    fake: FakeEngine, pushed: App, person: Person, settings: Any
) -> None:
    settings.MIST_PUSH_LIMIT_MB = 12
    secret = await sync_to_async(person)("dora", ProjectRole.DEVELOPER, "deploy")
    sent = Sent(PUSH, Authorization=basic(secret))
    await sent.answered()
    assert sent.send(12) == 12 * MB and sent.request.large is not None
    assert sent.request.large.complete
    assert sent.send(8) == 13 * MB and not sent.request.large.complete
    assert not sent.drip(LARGE_SECONDS - 60) and sent.drip(60)


@pytest.mark.parametrize("who", ["nobody", "viewer", "stranger"])
async def test_of_anybody_else_no_more_is_kept_than_of_any_request(
    fake: FakeEngine, pushed: App, person: Person, who: str
) -> None:
    roles = {"viewer": ProjectRole.VIEWER, "stranger": None}
    headers = {}
    if who in roles:
        secret = await sync_to_async(person)(who, roles[who], "deploy")
        headers = {"Authorization": basic(secret)}
    sent = Sent(PUSH, **headers)
    await sent.answered()
    assert sent.send(20) <= BODY_MAX + MB
    assert sent.drip(REQUEST_SECONDS)


async def test_an_archive_is_kept_for_who_may_use_the_form(
    fake: FakeEngine, pushed: App, alice: User, client: Client, settings: Any
) -> None:
    settings.MIST_UPLOAD_LIMIT_MB = 10
    await sync_to_async(client.force_login)(alice)
    cookies = "; ".join(f"{name}={one.value}" for name, one in client.cookies.items())
    sent = Sent(UPLOAD, Cookie=cookies)
    await sent.answered()
    assert sent.send(20) == 12 * MB
    stranger = Sent(UPLOAD)
    await stranger.answered()
    assert stranger.send(20) <= BODY_MAX + MB


@pytest.mark.parametrize("ends", ["by reading", "by hanging up"])
async def test_who_reads_slowly_is_not_written_to(ends: str) -> None:
    sent = Sent("/login/")
    await asyncio.wait_for(sent.channel.room(), 10)
    sent.channel.pauseProducing()
    waiting = asyncio.ensure_future(sent.channel.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    if ends == "by reading":
        sent.channel.resumeProducing()
    else:
        sent.channel.connectionLost(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]
    await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize(
    ("method", "target", "large"),
    [
        ("POST", PUSH, True),
        ("POST", f"{PUSH}?x=1", True),
        ("GET", PUSH, False),
        ("POST", "/git/shop/pushed.git/git-upload-pack", False),
        ("POST", UPLOAD, True),
        ("POST", f"{UPLOAD}x", False),
        ("POST", "/projects/shop/apps/pushed/source/", False),
        ("POST", "/gi%74/shop/pushed.git/git-receive-pack", False),
        ("POST", "/login/", False),
    ],
)
def test_only_these_may_be_large(method: str, target: str, large: bool) -> None:
    assert is_large(method, target) is large
