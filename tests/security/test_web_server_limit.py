"""What a client may send to Mist's own port, how fast, and who may open a WebSocket: asked of a real
server over plain sockets."""

from __future__ import annotations

import base64
import http.cookiejar
import os
import re
import socket
import struct
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from apps.accounts.models import User
from apps.live.consumers import MESSAGES, SOCKETS_MAX, TOO_MUCH
from mist_project.asgi import BODY_MAX
from mist_project.web_server import (
    IDLE_SECONDS,
    REQUEST_SECONDS,
    SOCKET_MESSAGE_MAX,
    PageFactory,
    PageRequest,
)
from tests.browser.serving import PASSWORD, Pages, serve_pages
from tests.live.test_page_socket import Pages as Sockets
from tests.security.test_headers_send import wrong_with


class Served:
    """A Mist that somebody has set up, and their session."""

    def __init__(self, pages: Pages) -> None:
        self.url = pages.url
        self.port = int(pages.url.rpartition(":")[2])
        self.host = f"127.0.0.1:{self.port}"
        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        link = f"{pages.url}/setup/{(pages.data_dir / 'setup-token').read_text().strip()}/"
        form = browser.open(link).read().decode()
        found = re.search(r'csrfmiddlewaretoken" value="([^"]+)', form)
        assert found is not None
        fields = {"csrfmiddlewaretoken": found[1], "email": "alice@example.com"}
        fields |= {"name": "Alice", "password": PASSWORD}
        browser.open(link, urllib.parse.urlencode(fields).encode()).close()
        self.cookies = "; ".join(f"{c.name}={c.value}" for c in jar)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def say(self, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        with self.connect() as line:
            for piece in pieces:
                try:
                    line.sendall(piece)
                except (BrokenPipeError, ConnectionResetError):
                    break
            answer = b""
            try:
                while piece := line.recv(65_536):
                    answer += piece
            except ConnectionResetError:
                pass
        if not answer:
            return 0, {}, b""
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(text.split(": ", 1) for text in lines)
        return int(status.split()[1]), headers, body

    def shake_hands(self, *headers: str) -> tuple[socket.socket, str]:
        line = self.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        words = [
            "GET /ws/page/?path=/ HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
            f"Cookie: {self.cookies}", *headers,
        ]  # fmt: skip
        line.sendall("".join(f"{word}\r\n" for word in words).encode() + b"\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = line.recv(1)
            if not piece:
                break
            answer += piece
        return line, answer.decode("latin-1").partition("\r\n")[0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_pages(tmp_path_factory.mktemp("served") / "data", filled=False) as pages:
        yield Served(pages)


def test_it_answers(served: Served) -> None:
    """The limits below are not met because nothing works at all."""
    status, headers, _ = served.say(
        f"GET / HTTP/1.1\r\nHost: {served.host}\r\nConnection: close\r\n"
        f"Cookie: {served.cookies}\r\n\r\n".encode()
    )
    assert (status, wrong_with(headers)) == (200, [])


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 501 + b"\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"no request\r\n\r\n",
    ],
    ids=["line", "header", "headers", "smuggling", "length", "chunk", "words"],
)
def test_what_is_no_request_or_too_long_is_refused_before_it_is_read(
    served: Served, request_: bytes
) -> None:
    status, headers, body = served.say(request_)
    # Twisted says this itself, with neither headers nor a body, or hangs up on a long line.
    assert (status, headers, body) in ((400, {}, b""), (0, {}, b""))


def test_daphnes_own_refusals_carry_the_headers_too(served: Served) -> None:
    for words in (b"GET / HTTP/1.1\r\nX: a\x0bb\r\n", b"GET / HTTP/1.1\r\nX: a\x85b\r\n"):
        status, headers, body = served.say(words + b"Connection: close\r\nHost: localhost\r\n\r\n")
        assert (status, wrong_with(headers)) == (400, []), body
        assert b"<" not in body


@pytest.mark.parametrize("name", ["evil.example", f"{'a' * 300}.example", "a, 127.0.0.1"])
def test_a_foreign_name_is_refused_by_the_real_server_too(served: Served, name: str) -> None:
    status, headers, body = served.say(
        f"GET /static/live.js HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
    )
    assert (status, wrong_with(headers)) == (400, [])
    assert b"MIST_URL" in body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(served: Served, chunked: bool) -> None:
    size, piece = 5 * BODY_MAX, b"x" * 1_000_000
    how = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    head = b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + how + b"\r\n\r\n"
    pieces = [b"F4240\r\n" + piece + b"\r\n"] * 41 + [b"0\r\n\r\n"] if chunked else [b"x" * size]
    status, headers, body = served.say(head, *pieces)
    assert (status, wrong_with(headers)) == (413, [])
    assert b"8 MB" in body


def _channel(clock: Clock) -> tuple[object, StringTransport]:
    server = SimpleNamespace(
        protocol_connected=lambda p: None, protocol_disconnected=lambda p: None
    )
    factory = PageFactory(server)
    channel = factory.buildProtocol(None)
    channel.callLater = clock.callLater
    transport = StringTransport()  # type: ignore[no-untyped-call]
    channel.makeConnection(transport)
    return channel, transport


def test_a_body_over_the_limit_does_not_fill_the_disk() -> None:
    channel, _ = _channel(Clock())
    channel.dataReceived(b"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n")  # type: ignore[attr-defined]
    for _ in range(40):
        channel.dataReceived(b"x" * 1_000_000)  # type: ignore[attr-defined]
    request: PageRequest = channel.requests[0]  # type: ignore[attr-defined]
    assert BODY_MAX < request.content.tell() <= BODY_MAX + 1_000_000


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n"]
)
def test_a_client_that_drips_bytes_is_sent_away(begun: bytes) -> None:
    clock = Clock()
    channel, transport = _channel(clock)
    if begun:
        channel.dataReceived(begun)  # type: ignore[attr-defined]
    passed = 0.0
    while not transport.disconnecting and passed < 10 * REQUEST_SECONDS:
        clock.advance(5)
        passed += 5
        if begun and not transport.disconnecting:
            channel.dataReceived(b"a")  # type: ignore[attr-defined]
    assert passed == (REQUEST_SECONDS if begun else IDLE_SECONDS)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Host: {h}", "Origin: http://{h}"], 101),
        (["Host: {h}"], 403),
        (["Host: {h}", "Origin: null"], 403),
        (["Host: {h}", "Origin: http://evil.example"], 403),
        (["Host: {h}", "Origin: http://127.0.0.1:1"], 403),
        (["Host: {h}", "Origin: http://127.0.0.1"], 403),
        (["Host: {h}", "Origin: https://{h}"], 403),
        (["Host: {h}", "Origin: http://localhost:{p}"], 403),
        (["Host: evil.example", "Origin: http://evil.example"], 403),
        (["Host: evil.example", "Origin: http://{h}"], 403),
        (["Host: {h}", "Origin: http://{h}", "Origin: http://evil.example"], 403),
        (["Host: {h}", "Origin: http://evil.example", "Origin: http://{h}"], 403),
        # The proxy on this machine says how the browser came.
        (["Host: {h}", "Origin: http://{h}", "X-Forwarded-Proto: ws"], 101),
        (["Host: {h}", "Origin: http://{h}", "X-Forwarded-Proto: wss"], 403),
        (["Host: {h}", "Origin: https://{h}", "X-Forwarded-Proto: ws"], 403),
    ],
)
def test_cross_site_websocket_hijacking_is_refused(
    served: Served, headers: list[str], status: int
) -> None:
    filled = [text.format(h=served.host, p=served.port) for text in headers]
    line, said = served.shake_hands(*filled)
    line.close()
    # Two headers of one name are refused by autobahn before they get here.
    twice = sum(text.startswith("Origin") for text in headers) == 2
    assert int(said.split()[1]) in ((400, 403) if twice else (status,)), said


def _frame(text: bytes) -> bytes:
    """As a browser sends it: the shortest length there is, and masked."""
    if len(text) < 126:
        return struct.pack("!BB", 0x81, 0x80 | len(text)) + b"\0\0\0\0" + text
    return struct.pack("!BBH", 0x81, 0x80 | 126, len(text)) + b"\0\0\0\0" + text


def _close_code(line: socket.socket) -> int:
    """Of the close frame that comes, after whatever else; 0 when the line just ends."""
    data = b""
    try:
        while b"\x88\x02" not in data and (piece := line.recv(65_536)):
            data += piece
    except ConnectionResetError:
        pass
    at = data.rfind(b"\x88")
    return int(struct.unpack("!H", data[at + 2 : at + 4])[0]) if at >= 0 else 0


def test_a_websocket_message_that_is_too_long_ends_it(served: Served) -> None:
    line, said = served.shake_hands(f"Host: {served.host}", f"Origin: http://{served.host}")
    assert " 101 " in said
    line.settimeout(10)
    line.sendall(_frame(b'{"x":{}}' + b" " * (SOCKET_MESSAGE_MAX - 8)))
    # Only the head of the next: what is announced is refused before it comes, by hanging up.
    line.sendall(_frame(b"x" * (SOCKET_MESSAGE_MAX + 1))[:8])
    assert _close_code(line) == 0
    line.close()


def test_a_page_that_says_too_much_is_closed(served: Served) -> None:
    line, said = served.shake_hands(f"Host: {served.host}", f"Origin: http://{served.host}")
    assert " 101 " in said
    line.sendall(_frame(b'{"x":{}}') * (MESSAGES + 1))
    assert _close_code(line) == TOO_MUCH
    line.close()


@pytest.mark.django_db(transaction=True)
async def test_a_person_has_so_many_sockets_and_no_more(client: Client, alice: User) -> None:
    await sync_to_async(client.force_login)(alice)
    pages = Sockets(client)
    opened: list[WebsocketCommunicator | None] = []
    for _ in range(SOCKETS_MAX):
        opened.append(await pages.open("/"))
    assert None not in opened
    assert await pages.open("/") is None
    first = pages.opened.pop()
    await first.disconnect()
    assert await pages.open("/") is not None
    for one in pages.opened:
        await one.disconnect()


def test_forms_have_limits(client: Client, alice: User, tmp_path: Path) -> None:
    """Django's, which the settings name: fields, files, bytes."""
    client.force_login(alice)
    assert client.post("/account/", {f"f{n}": "x" for n in range(1_001)}).status_code == 400
    files = {f"f{n}": (tmp_path / "x").open("wb+") for n in range(3)}
    assert client.post("/account/", files).status_code == 400
    large = client.post("/account/", {"name": "x" * (2 * 1024 * 1024 + 1)}, "application/x-www-form-urlencoded")  # fmt: skip
    assert large.status_code in (400, 413)
    assert client.post("/account/", {"form": "name", "name": "x" * 3_000_000}).status_code == 400
