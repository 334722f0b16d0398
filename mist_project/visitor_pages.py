"""`/visitor-pages/`: what visitors of an app are told where no app can tell them, beside Django.

Traefik asks for these pages in a visitor's place and gives them the status that it has itself
(`apps.engine.traffic_rules`). A busy site that is down asks for many, so they cost next to nothing:
no middleware, no session, no thread; an app's own page is read from the database once in a while.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.template.loader import render_to_string

from apps.domains.selectors import maintenance_page
from apps.engine.traffic_rules import PAGES
from apps.system.middleware import plain_headers

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Run = Callable[[Callable[[], str | None]], Awaitable[str | None]]

KEPT_SECONDS = 2.0
MOST_KEPT = 100
"""Pages, of 64 KB at most."""
POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src https: data:; font-src https: data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page may be an app's own, and is shown under Mist's name to who asks for it there: nothing in
it runs, and it shares nothing with either site."""


class Words(NamedTuple):
    status: int
    heading: str
    text: str


OWN = {
    "nothing": Words(
        404,
        "Nothing is here",
        "There is no app under this address, or none that was ever started.",
    ),
    "away": Words(
        503,
        "Not available right now",
        "What answers under this address is not running at the moment. Try again in a while.",
    ),
    "too-large": Words(
        413, "This is too large", "What you sent is larger than this site takes. Send less at once."
    ),
    "maintenance": Words(
        503,
        "Down for maintenance",
        "This site is being worked on and will be back. Try again in a while.",
    ),
}


class VisitorPages:
    """An ASGI application. `run` does something that blocks in a thread."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._kept: dict[int, tuple[float, str | None]] = {}

    @staticmethod
    def answers(scope: Scope) -> bool:
        return str(scope.get("path", "")).startswith(PAGES)

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        name, _, which = str(scope["path"]).removeprefix(PAGES).partition("/")
        words = OWN.get(name, OWN["nothing"])
        page = None
        if name == "maintenance" and which.isascii() and which.isdecimal() and len(which) < 19:
            page = await self._app_page(int(which))
        body = (page or own_page(words)).encode()
        headers = plain_headers() | {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
        }
        pairs = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
        await send({"type": "http.response.start", "status": words.status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    async def _app_page(self, pk: int) -> str | None:
        until, page = self._kept.get(pk, (0.0, None))
        if time.monotonic() < until:
            return page
        page = await self._run(functools.partial(_read, pk))
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[pk] = (time.monotonic() + KEPT_SECONDS, page)
        return page


@functools.cache
def own_page(words: Words) -> str:
    """Mist's own page, which needs no other file: it is shown under any name."""
    return render_to_string("visitor.html", words._asdict())


def _read(pk: int) -> str | None:
    close_old_connections()
    try:
        return maintenance_page(pk)
    except DatabaseError:
        return None
