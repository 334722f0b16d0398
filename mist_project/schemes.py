"""How the browser came, as the proxy in front says it: in the scope of every request, where pages,
pushes and WebSockets find it alike."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

from django.conf import settings

from apps.accounts.client import came_by_https

Scope = dict[str, Any]
logger = logging.getLogger("mist.web")
HEADER = b"x-forwarded-proto"
PLAIN = {"http": ("http", "https"), "websocket": ("ws", "wss")}


async def with_scheme(scope: Scope) -> Scope:
    """The scope with the scheme by which the browser came."""
    if scope["type"] not in PLAIN:
        return scope
    plain, secure = PLAIN[scope["type"]]
    said = dict(scope.get("headers", ())).get(HEADER, b"").decode("latin-1")
    peer = str((scope.get("client") or ("",))[0])
    # Where the proxy is may have to be looked up.
    is_secure = bool(said) and await asyncio.to_thread(came_by_https, peer, said)
    if said == "https" and not is_secure and settings.MIST_HTTPS:
        _warn_of(peer)
    return {**scope, "scheme": secure if is_secure else plain}


@functools.lru_cache(maxsize=16)
def _warn_of(peer: str) -> None:
    """A proxy that nobody named ends in a circle: every page sends browsers on to HTTPS."""
    logger.warning(
        "%s says that it is a proxy that speaks HTTPS. If it is yours, name it in "
        "MIST_TRUSTED_PROXIES.",
        peer,
    )


class SchemeSaid:
    """Gives `inner` scopes with that scheme."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self._inner(await with_scheme(scope), receive, send)
