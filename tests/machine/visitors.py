"""An app that says what reaches it, and visitors of it, as bare as they come."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import http.server
import json
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections

from mist_project.visitor_pages import VisitorPages
from tests.machine.world import World

DOCKERFILE = """FROM python:3.11-slim
COPY app.py /app.py
EXPOSE 8080
CMD ["python", "-u", "/app.py"]
"""
APP = r"""import base64, hashlib, http.server, json, socket, threading, time

next_event, got = threading.Semaphore(0), 0

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *words): pass
    def say(self, body, kind="application/octet-stream", status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Powered-By", "an app")
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/ws":
            return self.echo()
        if self.path == "/events":
            return self.events()
        if self.path == "/next":
            next_event.release()
            return self.say(b"")
        if self.path == "/got":
            return self.say(str(got).encode())
        if self.path == "/text":
            return self.say(b"<p>Hello</p>\n" * 2000, "text/html")
        if self.path.startswith("/status/"):
            return self.say(b"said by the app", status=int(self.path[8:]))
        seen = {"container": socket.gethostname(), "path": self.path, "headers": dict(self.headers)}
        self.say(json.dumps(seen).encode())
    def do_POST(self):
        # The clock of the first piece, and /got meanwhile, tell whether somebody held the body back.
        global got
        got, first = 0, None
        for piece in self.pieces():
            first = first or time.time()
            got += len(piece)
        seen = {"bytes": got, "first": first, "headers": dict(self.headers)}
        self.say(json.dumps(seen).encode())
    def pieces(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read1(min(left, 1 << 20))
            left -= len(piece)
            yield piece
    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            data = b"data: %d\n\n" % number
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            next_event.acquire(timeout=60)
        self.wfile.write(b"0\r\n\r\n")
    def echo(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                break
            length, mask = head[1] & 127, self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(length)))
            self.wfile.write(bytes([0x81, length]) + data)
            self.wfile.flush()
        self.close_connection = True

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

Server(("", 8080), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def seen(self) -> Any:
        """What the app says that reached it."""
        return json.loads(self.body)


def ask(
    world: World,
    host: str,
    path: str = "/",
    *,
    method: str = "GET",
    body: Any = None,
    come_from: str = "127.0.0.1",
    user: tuple[str, str] | None = None,
    **headers: str,
) -> Answer:
    """One request on a connection of its own from that address. `headers` have `_` for `-`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Host": host}
    if user is not None:
        sent["Authorization"] = basic(*user)
    connection = http.client.HTTPConnection(
        "127.0.0.1", world.engine.config.http_port, timeout=60, source_address=(come_from, 0)
    )
    try:
        chunked = not isinstance(body, bytes | type(None)) and "Content-Length" not in sent
        connection.request(method, path, body=body, headers=sent, encode_chunked=chunked)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def post(world: World, host: str, body: Any, **headers: str) -> Answer:
    """Sends bytes with their length, and pieces of an iterator one by one as chunks."""
    return ask(world, host, method="POST", body=body, come_from="127.0.0.1", user=None, **headers)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@contextlib.contextmanager
def web_socket(world: World, host: str, **headers: str) -> Iterator[Callable[[bytes], bytes]]:
    """Opens a WebSocket; yields what says a short text and returns the answer. Raises
    `AssertionError` with the status line where it is refused."""
    with socket.create_connection(("127.0.0.1", world.engine.config.http_port), 30) as sock:
        lines = {
            "Host": host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **headers,
        }
        text = "GET /ws HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        sock.sendall(f"{text}\r\n".encode())
        stream = sock.makefile("rb")
        first = stream.readline().decode()
        assert " 101 " in first, first
        while stream.readline().strip():
            pass

        def say(words: bytes) -> bytes:
            mask = os.urandom(4)
            masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(words))
            sock.sendall(bytes([0x81, 0x80 | len(words)]) + mask + masked)
            head = stream.read(2)
            return stream.read(head[1] & 127)

        yield say


@contextlib.contextmanager
def mist_pages(world: World) -> Iterator[None]:
    """Mist's web server as far as visitors of apps see of it."""

    def alone(work: Callable[[], str | None]) -> str | None:
        try:
            return work()
        finally:
            connections.close_all()

    async def run(work: Callable[[], str | None]) -> str | None:
        return await asyncio.to_thread(alone, work)

    pages = VisitorPages(run)

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            said: list[dict[str, Any]] = []

            async def send(message: dict[str, Any]) -> None:
                said.append(message)

            async def receive() -> dict[str, Any]:
                return {"type": "http.request"}

            answer: Awaitable[None] = pages({"path": self.path}, receive, send)
            asyncio.run(_whole(answer))
            self.send_response(said[0]["status"])
            for name, value in said[0]["headers"]:
                self.send_header(name.decode(), value.decode())
            self.end_headers()
            self.wfile.write(said[1]["body"])

    where = ("127.0.0.1", world.engine.config.dashboard_port)
    server = http.server.ThreadingHTTPServer(where, Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def _whole(answer: Awaitable[None]) -> None:
    await answer
