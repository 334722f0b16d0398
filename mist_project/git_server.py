"""`/git/<project>/<app>.git`: Git's smart HTTP (gitprotocol-http(5)), beside Django.

A push may be larger than memory and its answer lasts as long as a deployment, so neither its body
nor its thread may be a page's: bodies are files, Git runs in threads of its own, and whoever waits
for a deployment holds no thread at all.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import io
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections, connection

from apps.deployments.models import Deployment
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError
from apps.engine.git_http import MAX_REQUEST, GitResponse, respond
from apps.engine.kept import is_prepared, kept
from apps.engine.kept_push import HEADROOM, advertise_push
from apps.engine.pkt_line import FLUSH, REPORT, Malformed, Push, Report, read_push, sideband, words
from apps.projects.selectors import kept_path
from apps.sources.git_gate import PREFIX, RECEIVE, UPLOAD, Entry, Refused, enter
from apps.sources.push_watch import Watch
from apps.sources.pushing import RECEIVE_SECONDS, Taken, push_take, too_large
from apps.system.middleware import plain_headers
from mist_project.request_bodies import BODY, LargeBody, Receive, hung_up, pieces, spooled, unzipped

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Result = TypeVar("Result")

THREADS = 8
"""In which Git runs: so many fetches and pushes at once, others wait for them."""
KEEP_ALIVE_SECONDS = 5.0
"""After so long without a word an empty piece is sent, as Git itself does."""
LOOK_SECONDS = 0.25
LIST_SECONDS = 60.0
logger = logging.getLogger("mist.git")


class GitServer:
    """An ASGI application for everything below `/git/`."""

    def __init__(self) -> None:
        self._git = ThreadPoolExecutor(THREADS, thread_name_prefix="git")
        self._quick = ThreadPoolExecutor(1, thread_name_prefix="push")

    @staticmethod
    def answers(scope: Scope) -> bool:
        return str(scope.get("path", "")).startswith(PREFIX)

    async def may_push(self, scope: Scope) -> bool:
        """Whether the body of this request is worth keeping, which `__call__` asks again."""
        try:
            await self._run(self._quick, _enter, scope, False)
        except Refused:
            return False
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            entry = await self._run(self._quick, _enter, scope, True)
            if entry.lists_refs:
                answer = await self._run(self._git, _list_refs, entry, _headers(scope))
                await _send(send, answer.status, answer.headers, b"".join(answer.chunks))
            elif entry.service == UPLOAD:
                await self._fetch(entry, scope, receive, send)
            else:
                await self._push(entry, scope, receive, send)
        except Refused as error:
            headers = {**plain_headers(), **error.headers}
            await _send(send, error.status, headers, f"{error.words}\n".encode())

    async def _fetch(self, entry: Entry, scope: Scope, receive: Receive, send: Send) -> None:
        data = bytearray()
        async for piece in pieces(receive):
            data += piece
            if len(data) > MAX_REQUEST:
                raise Refused(413, f"A request to fetch has {MAX_REQUEST} bytes at most.")
        answer = await self._run(
            self._git, respond, kept_path(entry.app), "POST", f"/{UPLOAD}", "", _headers(scope),
            bytes(data),
        )  # fmt: skip
        await _start(send, answer.status, answer.headers)
        gone = asyncio.ensure_future(hung_up(receive))
        try:
            # An iterator that ends in a thread cannot say so by StopIteration.
            while not gone.done() and (
                chunk := await self._run(self._git, next, answer.chunks, b"")
            ):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            gone.cancel()
            await self._run(self._git, _close, answer)
        await send({"type": "http.response.body"})

    async def _push(self, entry: Entry, scope: Scope, receive: Receive, send: Send) -> None:
        body = scope.get("extensions", {}).get(BODY) or await spooled(receive)
        with body.file:
            if _headers(scope).get("content-encoding", "") in ("gzip", "x-gzip"):
                body = await self._run(self._git, unzipped, body)
            try:
                body.file.seek(HEADROOM)
                push = read_push(body.file)
            except Malformed as error:
                raise Refused(400, str(error)) from error
            await _start(send, 200, {"Content-Type": f"application/x-{RECEIVE}-result"})
            try:
                async for piece in self._answer(entry, push, body, receive):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except Exception:
                logger.exception("A push to %s failed inside Mist", entry.app)
                report = Report("Mist itself failed", {one.ref: "failed" for one in push.updates})
                note = words(["Mist itself failed. The server's log holds the details."])
                last = _framed(push, note, report)
                await send({"type": "http.response.body", "body": last, "more_body": True})
        await send({"type": "http.response.body"})

    async def _answer(
        self, entry: Entry, push: Push, body: LargeBody, receive: Receive
    ) -> AsyncIterator[bytes]:
        """What the pusher hears, as it happens. Nothing for a request that only tries."""
        if not push.updates:
            return
        gone = threading.Event()
        listening = asyncio.ensure_future(hung_up(receive, gone))
        try:
            if body.complete:
                deadline = Deadline(RECEIVE_SECONDS, what="The push", cancelled=gone.is_set)
                work = functools.partial(
                    push_take, entry=entry, push=push, body=body.file, deadline=deadline
                )
                storing = asyncio.ensure_future(self._run(self._git, work))
                while not (await asyncio.wait({storing}, timeout=KEEP_ALIVE_SECONDS))[0]:
                    yield _framed(push, sideband(REPORT, b""))
                taken = storing.result()
            else:
                taken = too_large(push)
            yield _framed(push, words(taken.words))
            if taken.deployment is not None:
                async for piece in self._follow(taken, taken.deployment, gone):
                    yield _framed(push, piece)
            yield _framed(push, b"", taken.report)
        finally:
            gone.set()
            listening.cancel()

    async def _follow(
        self, taken: Taken, deployment: Deployment, gone: threading.Event
    ) -> AsyncIterator[bytes]:
        """The deployment's log until it is over, then how it ended: in the report as well. Ends
        when whoever listens has hung up; the deployment goes on."""
        watch = Watch(deployment)
        yield words(await self._run(self._quick, watch.begin))
        silent = 0.0
        while not gone.is_set():
            lines = await self._run(self._quick, watch.step)
            if lines:
                silent = 0.0
                yield words(lines)
            if watch.over:
                break
            if not lines:
                await asyncio.sleep(LOOK_SECONDS)
                silent += LOOK_SECONDS
                if silent >= KEEP_ALIVE_SECONDS:
                    silent = 0.0
                    yield sideband(REPORT, b"")
        last, taken.report.refs[taken.ref] = await self._run(self._quick, watch.end)
        yield words(last)

    async def _run(
        self, pool: ThreadPoolExecutor, work: Callable[..., Result], *args: Any
    ) -> Result:
        call = functools.partial(contextvars.copy_context().run, _with_database, work, *args)
        return await asyncio.get_running_loop().run_in_executor(pool, call)


def _with_database(work: Callable[..., Result], *args: Any) -> Result:
    """Threads that wait for long keep no connection."""
    close_old_connections()
    try:
        return work(*args)
    finally:
        connection.close()


def _enter(scope: Scope, counts: bool) -> Entry:
    return enter(ASGIRequest(scope, io.BytesIO()), counts=counts)


def _list_refs(entry: Entry, headers: Mapping[str, str]) -> GitResponse:
    path, deadline = kept_path(entry.app), Deadline(LIST_SECONDS, what="Listing the branches")
    try:
        if not is_prepared(path, entry.app.branch):
            with kept(path, branch=entry.app.branch, deadline=deadline):
                pass
        if entry.service == UPLOAD:
            return respond(path, "GET", "/info/refs", f"service={UPLOAD}", headers, b"")
        kind = {"Content-Type": f"application/x-{RECEIVE}-advertisement"}
        no_cache = {"Cache-Control": "no-cache, max-age=0, must-revalidate"}
        return GitResponse(200, kind | no_cache, iter([advertise_push(path, deadline=deadline)]))
    except EngineError as error:
        raise Refused(503, f"{error.sentence} {error.hint}".strip()) from error


def _close(answer: GitResponse) -> None:
    close = getattr(answer.chunks, "close", None)
    if close is not None:
        close()


def _framed(push: Push, piece: bytes, report: Report | None = None) -> bytes:
    """The piece, and the report with which everything ends, as this client understands them."""
    told = report.encode() if report is not None and push.wants_report else b""
    if not push.has_sideband:
        return told
    end = b"" if report is None else FLUSH
    return piece + (sideband(REPORT, told) if told else b"") + end


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    named = {**plain_headers(), "Cache-Control": "no-cache", **headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    await _start(send, status, {**headers, "Content-Length": str(len(body))})
    await send({"type": "http.response.body", "body": body})
