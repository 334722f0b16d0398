"""What Daphne serves: pages through a small pool of threads, live pages through Channels."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import io
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar
from urllib.parse import unquote

import django
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import HttpResponse
from django.urls import set_script_prefix

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mist_project.settings")
django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from apps.live.consumers import Answer, PageConsumer  # noqa: E402
from apps.projects.access import NOBODY  # noqa: E402
from apps.system.middleware import harden_alone  # noqa: E402
from apps.system.planning import is_own_origin  # noqa: E402
from mist_project.git_server import GitServer  # noqa: E402
from mist_project.large_bodies import allowance  # noqa: E402
from mist_project.request_bodies import BODY, LargeBody  # noqa: E402
from mist_project.schemes import SchemeSaid, with_scheme  # noqa: E402
from mist_project.visitor_pages import VisitorPages  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Result = TypeVar("Result")

THREADS = 2
"""More are slower: they fight for the interpreter's lock (measured)."""
BODY_MAX = 8 * 1024 * 1024
"""Bytes of a request. Forms are held to DATA_UPLOAD_MAX_MEMORY_SIZE besides."""
SMALL_FILE = 1024 * 1024


class PooledHandler(ASGIHandler):
    """Django over ASGI with the middleware chain in one thread from first to last.

    The stock handler hops between the loop and a thread at each middleware, about 3 ms a request.
    Here a request is one job of a fixed pool, whose threads keep their database connections.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="page")
        # Open pages refresh one after the other, so nobody's click waits behind a hundred of them.
        self._refreshing = ThreadPoolExecutor(1, thread_name_prefix="parts")
        # Nor behind an archive that is unpacked.
        self._unpacking = ThreadPoolExecutor(1, thread_name_prefix="upload")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def _in_thread(
        self, work: Callable[..., Result], *args: Any, pool: ThreadPoolExecutor | None = None
    ) -> Result:
        call = functools.partial(contextvars.copy_context().run, work, *args)
        return await asyncio.get_running_loop().run_in_executor(pool or self._pool, call)

    async def handle(  # type: ignore[override]
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async with _body_of(scope, receive) as (body, too_large):
            if body is None:
                return
            pool = self._unpacking if BODY in scope.get("extensions", {}) else None
            _, response = await self._in_thread(self._respond, scope, body, too_large, pool=pool)
            try:
                await self._send(response, send)
            finally:
                await self._in_thread(response.close)

    # ------------------------------------------------------------------ for the pages' sockets

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do `work` in a thread of the pool."""
        return await self._in_thread(work, pool=self._refreshing)

    async def parts(self, scope: Mapping[str, Any], path: str) -> Answer:
        """What an HTMX request of `path` gets with the cookies of the socket's handshake."""
        return await self._in_thread(self._parts, _as_request(scope, path), pool=self._refreshing)

    def _parts(self, scope: Scope) -> Answer:
        request, response = self._respond(scope, io.BytesIO(), too_large=False)
        try:
            user = getattr(request, "user", None)
            text = "" if response.streaming else response.content.decode()
            allows = getattr(request, "access", NOBODY).allows
            return Answer(response.status_code, text, None if user is None else user.pk, allows)
        finally:
            response.close()

    def _respond(self, scope: Scope, body: IO[bytes], too_large: bool) -> tuple[Any, Any]:
        """The request (None when it was refused before it was read) and the response."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        if too_large:
            return None, harden_alone(
                HttpResponse(
                    f"A request may hold {_most(scope) // 1024 // 1024} MB at most.\n",
                    status=413,
                    content_type="text/plain",
                )
            )
        request, problem = self.create_request(scope, body)
        if request is None:
            assert problem is not None
            return None, harden_alone(problem)
        response: Any = self.get_response(request)
        if response.streaming and 0 < int(response.get("Content-Length") or 0) <= SMALL_FILE:
            # One hop instead of one for each block of a style sheet.
            response.streaming_content = [b"".join(response.streaming_content)]
        return request, response

    async def _send(self, response: Any, send: Send) -> None:
        if not response.streaming:
            await self.send_response(response, send)  # type: ignore[arg-type]
            return
        headers = [(k.encode("ascii"), v.encode("latin-1")) for k, v in response.items()]
        headers += [
            (b"Set-Cookie", cookie.output(header="").strip().encode("ascii"))
            for cookie in response.cookies.values()
        ]
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": headers}
        )
        chunks: Iterator[bytes] = iter(response.streaming_content)
        while (chunk := await self._in_thread(next, chunks, None)) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})


def _most(scope: Scope) -> int:
    large: LargeBody | None = scope.get("extensions", {}).get(BODY)
    return BODY_MAX if large is None else large.most


@contextlib.asynccontextmanager
async def _body_of(scope: Scope, receive: Receive) -> AsyncIterator[tuple[IO[bytes] | None, bool]]:
    """The request's body, from its beginning, and whether it was too large to be kept whole. None
    when the client went away."""
    large: LargeBody | None = scope.get("extensions", {}).get(BODY)
    if large is not None:
        with large.file:
            large.file.seek(0)
            yield large.file, not large.complete
        return
    with tempfile.SpooledTemporaryFile(max_size=2 * 1024 * 1024, mode="w+b") as body:
        if not await _read_body(receive, body):
            yield None, False
            return
        too_large = body.tell() > BODY_MAX
        body.seek(0)
        yield body, too_large


async def _read_body(receive: Receive, body: IO[bytes]) -> bool:
    """Take the whole body, keeping no more than a little over the limit. False when the client
    went away."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        if body.tell() <= BODY_MAX:
            body.write(message.get("body", b""))
        if not message.get("more_body", False):
            return True


_HANDSHAKE = (b"connection", b"upgrade", b"content-length", b"transfer-encoding")


def _as_request(scope: Mapping[str, Any], path: str) -> Scope:
    """A GET of `path` by HTMX, from the browser that opened the socket of `scope`."""
    plain, _, query = path.partition("?")
    headers = [
        (name, value)
        for name, value in scope.get("headers", ())
        if name not in _HANDSHAKE and not name.startswith(b"sec-websocket-")
    ]
    return {
        "type": "http",
        "method": "GET",
        "scheme": "https" if scope.get("scheme") == "wss" else "http",
        "path": unquote(plain),
        "raw_path": plain.encode(),
        "root_path": scope.get("root_path", ""),
        "query_string": query.encode(),
        "headers": [*headers, (b"hx-request", b"true")],
        "client": scope.get("client"),
        "server": scope.get("server"),
    }


class SameOrigin:
    """Refuses a WebSocket that a page of another site opens: cookies go along with those too
    (OWASP: Cross-Site WebSocket Hijacking). A program that sends no Origin is none of ours."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        scheme = "https" if scope.get("scheme") == "wss" else "http"
        if is_own_origin(origin, scheme=scheme, host=host):
            await self._inner(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4403})


async def _no_such_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close", "code": 4404})


def _websockets(pages: PooledHandler) -> Any:
    consumer: Any = PageConsumer.as_asgi(pages=pages)
    routes: Any = URLRouter([path("ws/page/", consumer)])

    async def found(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await routes(scope, receive, send)
        except ValueError as error:
            if "No route found" not in str(error):
                raise
            await _no_such_socket(scope, receive, send)

    return SameOrigin(found)


async def _status(scope: Scope, path: str) -> int:
    return (await _pages.parts(scope, path)).status


async def body_max(scope: Scope) -> int:
    """Bytes that the body of this request may have, which `is_large` says may be large."""
    return max(BODY_MAX, await allowance(await with_scheme(scope), _git, _status))


async def _http(scope: Scope, receive: Receive, send: Send) -> None:
    if _git.answers(scope):
        await _git(scope, receive, send)
    elif _visitor_pages.answers(scope):
        await _visitor_pages(scope, receive, send)
    else:
        await _pages(scope, receive, send)  # type: ignore[arg-type]


_pages = PooledHandler()
_git = GitServer()
_visitor_pages = VisitorPages(_pages.run)
application = SchemeSaid(ProtocolTypeRouter({"http": _http, "websocket": _websockets(_pages)}))
