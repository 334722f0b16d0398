"""The one WebSocket of an open page."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import QueryDict
from django.urls import Resolver404, resolve

from apps.deployments.events import user_group
from apps.live.pages import Feed, Live, find_live_of

logger = logging.getLogger("mist.live")
Result = TypeVar("Result")
NOT_FOUND = 4404
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')
MESSAGE_MAX = 4_096
"""Bytes that a page may say at once: it has little to say."""
MESSAGES, MESSAGE_SECONDS = 200, 5.0
"""Messages that a page may send within so many seconds. An open log says some ten a second."""
SOCKETS_MAX = 60
"""Sockets of one person in one process: one for each open page."""
TOO_MUCH = 4429
PAUSE_SHARE = 10
"""After a refresh a page rests this many times as long as the refresh took, so however many pages
are open, they take a bounded share of the server."""
PAUSE_LEAST, PAUSE_MOST = 0.1, 5.0

OPEN: Counter[int] = Counter()
"""Sockets that are open now, by person. Only the event loop's own thread counts."""


@dataclass(frozen=True)
class Answer:
    """What a page's address answers to the person behind a socket now."""

    status: int
    text: str
    user_id: int | None
    allows: Callable[[Any], bool]
    """Whether the person has what a feed needs (`apps.projects.access.Need`)."""


class Pages(Protocol):
    """The site behind the sockets."""

    async def parts(self, scope: Mapping[str, Any], path: str) -> Answer:
        """Ask for `path` (with its query) as HTMX would from the socket's browser."""
        ...

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run something that reads the database."""
        ...


class PageConsumer(AsyncWebsocketConsumer):
    """Sends a page what changes on it, and whatever its feeds stream.

    Each refresh asks the page's own view, through every middleware, with the cookies of the
    socket: what the person may not see (any more) ends the socket.
    """

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self._pages = pages
        self._path = ""
        self._groups: list[str] = []
        self._feeds: dict[str, Feed] = {}
        self._needs: Mapping[str, Any] = {}
        self._stale = asyncio.Event()
        self._urgent = asyncio.Event()
        self._refresher: asyncio.Task[None] | None = None
        self._last = b""
        self._owner: int | None = None
        self._said = 0
        self._counted_from = time.monotonic()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without Channels' check of database connections, which is a hop to a thread for every
        message: whatever reads the database here does so in the pages' threads."""
        handler = getattr(self, get_handler_name(message), None)
        if handler is None:
            raise ValueError(f"Nothing takes {message['type']}.")
        await handler(message)

    # ------------------------------------------------------------------------------- the socket

    async def connect(self) -> None:
        query = QueryDict(self.scope.get("query_string", b""))
        self._path = query.get("path", "")
        found = _find(self._path)
        if found is None:
            await self.close(NOT_FOUND)
            return
        live: Live = await self._pages.run(found)
        # Groups first: what changes while the page is asked for is heard afterwards.
        for group in live.groups:
            await self._join(group)
        answer = await self._pages.parts(self.scope, self._path)
        if answer.status != 200 or answer.user_id is None:
            await self.close(NOT_FOUND)
            return
        if OPEN[answer.user_id] >= SOCKETS_MAX:
            await self.close(TOO_MUCH)
            return
        self._owner = answer.user_id
        OPEN[self._owner] += 1
        await self._join(user_group(answer.user_id))
        await self.accept()
        await self._send_parts(answer.text)
        self._needs = live.needs
        for name, make in live.feeds.items():
            if not self._may_follow(name, answer):
                continue
            mine = f"{name}."
            own = {k.removeprefix(mine): str(v) for k, v in query.items() if k.startswith(mine)}
            feed = make(own, self._send_text)
            self._feeds[name] = feed
            await feed.open()
        self._refresher = asyncio.create_task(self._keep_fresh())

    async def disconnect(self, code: int) -> None:
        if self._owner is not None:
            OPEN[self._owner] -= 1
            self._owner = None
        if self._refresher is not None:
            self._refresher.cancel()
        for group in self._groups:
            await self.channel_layer.group_discard(group, self.channel_name)
        for feed in self._feeds.values():
            await feed.close()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._says_too_much():
            await self.close(TOO_MUCH)
            return
        for name, message in _said(text_data).items():
            feed = self._feeds.get(name)
            if feed is not None and isinstance(message, dict):
                await feed.heard(message)

    def _says_too_much(self) -> bool:
        now = time.monotonic()
        if now - self._counted_from > MESSAGE_SECONDS:
            self._said, self._counted_from = 0, now
        self._said += 1
        return self._said > MESSAGES

    def _may_follow(self, feed: str, answer: Answer) -> bool:
        return feed not in self._needs or answer.allows(self._needs[feed])

    async def _close_feeds(self, answer: Answer) -> None:
        """Those that the person may not follow any more."""
        for name in [name for name in self._feeds if not self._may_follow(name, answer)]:
            await self._feeds.pop(name).close()

    async def _join(self, group: str) -> None:
        await self.channel_layer.group_add(group, self.channel_name)
        self._groups.append(group)

    async def _send_text(self, text: str) -> None:
        # A page that closes while something is on its way to it is no error.
        with contextlib.suppress(RuntimeError):
            send: Any = self.base_send
            await send({"type": "websocket.send", "text": text})

    # ------------------------------------------------------------------------------- refreshing

    async def mist_changed(self, message: dict[str, Any]) -> None:
        self._stale.set()

    async def mist_access(self, message: dict[str, Any]) -> None:
        """What the person may see is another one now: no pause between two refreshes covers it."""
        self._urgent.set()
        self._stale.set()

    async def _keep_fresh(self) -> None:
        try:
            await self._refresh()
        except Exception:
            logger.exception("Refreshing %s", self._path)
            # It would show what is over, also to who may not see it any more. It connects anew.
            await self.close()

    async def _refresh(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            self._urgent.clear()
            began = time.monotonic()
            try:
                answer = await self._pages.parts(self.scope, self._path)
            except Exception:
                logger.exception("Refreshing %s", self._path)
                answer = None
            if answer is not None and answer.status < 500:
                if answer.status != 200:
                    await self.close(NOT_FOUND)
                    return
                await self._close_feeds(answer)
                await self._send_parts(answer.text)
            pause = (time.monotonic() - began) * PAUSE_SHARE
            with contextlib.suppress(TimeoutError):
                timeout = min(PAUSE_MOST, max(PAUSE_LEAST, pause))
                await asyncio.wait_for(self._urgent.wait(), timeout)

    async def _send_parts(self, text: str) -> None:
        # Forms get another mask of the same token each time.
        digest = hashlib.blake2b(_TOKEN.sub("", text).encode(), digest_size=16).digest()
        if digest != self._last:
            self._last = digest
            await self._send_text(json.dumps({"html": text}, ensure_ascii=False))


def _find(path: str) -> Callable[[], Live] | None:
    """What tells about the live page of that address; None where there is none."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/"):
        return None
    try:
        match = resolve(parts.path)
    except Resolver404:
        return None
    find = find_live_of(match.func)
    return None if find is None else functools.partial(find, **match.kwargs)


def _said(text: str | None) -> dict[str, Any]:
    """What a page said, by feed; nothing when it is none of a page's words."""
    if text is None or len(text) > MESSAGE_MAX:
        return {}
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
