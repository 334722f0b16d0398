"""Daphne as Mist runs it: with limits on what a client may send, how long it may take, and with
the headers of all other answers on those that Daphne gives by itself.

Twisted's own limits hold besides: 16 KiB for the request line and all headers together, 500
headers (`HTTPChannel.totalHeadersSize`, `maxHeaders`).
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

# Twisted loads TLS wherever it finds pyOpenSSL, which is 5 MB resident (measured). Mist's own port
# speaks plain HTTP: TLS is Traefik's.
sys.modules.setdefault("OpenSSL", None)  # type: ignore[arg-type]

# ruff: noqa: E402
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.server import Server  # installs Twisted's asyncio reactor, so it comes early
from django.conf import settings
from twisted.web import http

from apps.engine.kept_push import HEADROOM, body_file
from apps.sources.git_gate import PREFIX
from apps.system.middleware import plain_headers
from mist_project.asgi import BODY_MAX, application, body_max
from mist_project.large_bodies import LARGE_SECONDS, is_large
from mist_project.request_bodies import BODY, LargeBody, incoming

IDLE_SECONDS = 30
"""Without a byte, between requests or within one."""
REQUEST_SECONDS = 60.0
"""From the first byte of a request to its last: a client that drips bytes never idles."""
SOCKET_MESSAGE_MAX = 16 * 1024
"""Bytes of a frame that a WebSocket takes. A page says less than 4 KiB at once."""
SOCKET_PARTS_MAX = 1024 * 1024
"""Bytes of a message of a WebSocket, either way: what is longer would not be sent, either, and the
parts of a page may be long."""


class PageRequest(WebRequest):  # type: ignore[misc]
    """A request that never takes more of the disk than it may hold."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self._arrived = 0
        self._most = BODY_MAX
        self.large: LargeBody | None = None
        super().__init__(*args, **more)

    def gotLength(self, length: int | None) -> None:
        """The headers are there. A body that may be large goes to a file of ours, and nothing of it
        is read before somebody has said how large it may be."""
        super().gotLength(length)
        command, target = self.channel._command, self.channel._path
        if is_large(command.decode("latin-1"), target.decode("latin-1")):
            # Django goes back to the first byte of what it is given.
            room = HEADROOM if target.startswith(PREFIX.encode()) else 0
            self.large = LargeBody(body_file(incoming(), headroom=room), most=self._most)
            self.content = self.large.file
            self._ask(self.large, command.decode("latin-1"), target.decode("latin-1"))

    def _ask(self, large: LargeBody, method: str, target: str) -> None:
        path, _, query = target.partition("?")
        peer, headers = self.client, self.requestHeaders.getAllRawHeaders()
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "root_path": "",
            "query_string": query.encode("latin-1"),
            "headers": [(n.lower(), v) for n, vs in headers if b"_" not in n for v in vs],
            "client": [str(getattr(peer, "host", "")), getattr(peer, "port", 0)],
            "server": None,
        }
        channel, producer = self.channel, self.channel._networkProducer
        producer.pauseProducing()

        def answered(asked: asyncio.Future[int]) -> None:
            producer.resumeProducing()
            # Raises what failed meanwhile, for the log: the request may hold what any other may.
            self._most = large.most = asked.result()
            if self._most > BODY_MAX:
                channel.give_time(LARGE_SECONDS)

        asyncio.ensure_future(body_max(scope)).add_done_callback(answered)

    def handleContentChunk(self, data: bytes) -> None:
        """Twisted writes a body of any length to a file before anybody is asked. What is over the
        limit is dropped as it comes, all but the first piece, by which the application knows."""
        if self._arrived <= self._most:
            super().handleContentChunk(data)
        self._arrived += len(data)
        if self.large is not None:
            self.large.complete = self._arrived <= self._most

    def process(self) -> Any:
        """Daphne would put all of the body into memory. A large one the application takes as the
        file that it is (`PageServer.create_application`)."""
        if self.large is not None:
            self.content = io.BytesIO()
        return super().process()

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """What Daphne says without asking the application, without its page of inline style."""
        headers = [(name.encode(), value.encode()) for name, value in plain_headers().items()]
        start = {"type": "http.response.start", "status": status, "headers": headers}
        self.handle_reply(start)
        self.handle_reply({"type": "http.response.body", "body": f"{body}\n".encode()})


class PageChannel(http.HTTPChannel):
    """One connection, whose requests have to arrive in time."""

    _late: Any = None

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._waiters: list[asyncio.Future[None]] = []

    async def room(self) -> None:
        """Return when the client has taken what was written so far, but for some KB, or is gone:
        who writes on before fills memory with what a slow client has yet to read."""
        while self._waitingForTransport:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def resumeProducing(self) -> None:
        super().resumeProducing()  # type: ignore[no-untyped-call]
        self._let_go()

    def _let_go(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def dataReceived(self, data: bytes) -> None:
        if self._late is None and not self._handlingRequest:
            self._late = self.callLater(REQUEST_SECONDS, self._give_up)  # type: ignore[no-untyped-call]
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def allContentReceived(self) -> None:
        self._forget_time()
        super().allContentReceived()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:  # type: ignore[override]
        self._forget_time()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self._waitingForTransport = False
        self._let_go()

    def give_time(self, seconds: float) -> None:
        """The request at hand may take so long from now on."""
        if self._late is not None:
            self._late.reset(seconds)

    def _give_up(self) -> None:
        self._late = None
        self.timeoutConnection()  # type: ignore[no-untyped-call]

    def _forget_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class PageFactory(HTTPFactory):  # type: ignore[misc]
    protocol = PageChannel

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.timeOut = IDLE_SECONDS

    def buildProtocol(self, addr: Any) -> Any:
        channel = super().buildProtocol(addr)
        channel.requestFactory = PageRequest
        return channel


class PageServer(Server):  # type: ignore[misc]
    """Daphne, which tells when it listens and why it does not."""

    def __init__(self, *, ready: Callable[[], None]) -> None:
        host = settings.MIST_BIND.replace(":", "\\:")
        super().__init__(
            application,
            endpoints=[f"tcp:port={settings.MIST_PORT}:interface={host}"],
            server_name="Mist",
            application_close_timeout=2,
            websocket_max_message_size=SOCKET_PARTS_MAX,
            websocket_max_frame_size=SOCKET_MESSAGE_MAX,
        )
        self._ready = ready
        self.problem = ""

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if (large := getattr(protocol, "large", None)) is not None:
            scope["extensions"] = {**scope.get("extensions", {}), BODY: large}
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        channel = getattr(protocol, "channel", None)
        if isinstance(channel, PageChannel):
            await channel.room()

    @property
    def http_factory(self) -> PageFactory:
        """What makes a connection's protocol. Daphne sets its own when it begins to run and has no
        other way to bring one."""
        return self._factory

    @http_factory.setter
    def http_factory(self, daphne: HTTPFactory) -> None:
        self._factory = PageFactory(self)

    def listen_success(self, port: object) -> None:
        self._ready()

    def listen_error(self, failure: object) -> None:
        self.problem = f"Port {settings.MIST_PORT} cannot be used: {failure.getErrorMessage()}"  # type: ignore[attr-defined]
        self.stop()
