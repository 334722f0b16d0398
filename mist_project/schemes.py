"""How the browser came, as the proxy in front says it: in the scope of every request, where pages,
pushes and WebSockets find it alike."""

from __future__ import annotations

import asyncio
from typing import Any

from apps.accounts.client import came_by_https

Scope = dict[str, Any]
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
    return {**scope, "scheme": secure if is_secure else plain}


class SchemeSaid:
    """Gives `inner` scopes with that scheme."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self._inner(await with_scheme(scope), receive, send)
