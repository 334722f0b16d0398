"""The channel layer of a Mist that is one process: messages go from any thread to open sockets.

Channels' own in-memory layer is not safe to use from worker threads and drops silently when a
reader is slow. Mist's messages are nudges ("deployment 57 has grown"), so an equal one that still
waits stands for both, and nothing that matters can be lost.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from typing import Any

from channels.layers import BaseChannelLayer

Message = dict[str, Any]
CAPACITY = 256
"""Different messages that may wait for one socket; past it the oldest goes."""


class _Inbox:
    """What waits for one socket. Touched only by its own loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[Message] = deque(maxlen=CAPACITY)
        self._ready = asyncio.Event()

    def put(self, message: Message) -> None:
        if message not in self._waiting:
            self._waiting.append(message)
            self._ready.set()

    async def get(self) -> Message:
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()


class LocalChannelLayer(BaseChannelLayer):
    """Channels' layer interface, plus `publish` for callers outside any event loop."""

    extensions = ("groups",)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lock = threading.Lock()
        self._inboxes: dict[str, _Inbox] = {}
        self._groups: dict[str, set[str]] = {}

    def publish(self, group: str, message: Message) -> None:
        """Hand `message` to every member of the group. Never waits; safe from every thread."""
        with self._lock:
            members = [
                box
                for name in self._groups.get(group, ())
                if (box := self._inboxes.get(name)) is not None
            ]
        for inbox in members:
            self._hand_over(inbox, message)

    @staticmethod
    def _hand_over(inbox: _Inbox, message: Message) -> None:
        try:
            inbox.loop.call_soon_threadsafe(inbox.put, message)
        except RuntimeError:
            # The loop is closed: Mist is stopping and its sockets are gone.
            return

    async def new_channel(self, prefix: str = "specific") -> str:
        name = f"{prefix}.{secrets.token_hex(12)}"
        with self._lock:
            self._inboxes[name] = _Inbox(asyncio.get_running_loop())
        return name

    async def send(self, channel: str, message: Message) -> None:
        with self._lock:
            inbox = self._inboxes.get(channel)
        if inbox is not None:
            self._hand_over(inbox, message)

    async def receive(self, channel: str) -> Message:
        with self._lock:
            inbox = self._inboxes.get(channel)
            if inbox is None:
                inbox = self._inboxes[channel] = _Inbox(asyncio.get_running_loop())
        try:
            return await inbox.get()
        except asyncio.CancelledError:
            # Channels cancels the read only when the socket has ended.
            self._forget(channel)
            raise

    def _forget(self, channel: str) -> None:
        with self._lock:
            self._inboxes.pop(channel, None)
            for group in [g for g, members in self._groups.items() if channel in members]:
                self._leave(group, channel)

    def _leave(self, group: str, channel: str) -> None:
        members = self._groups.get(group)
        if members is not None:
            members.discard(channel)
            if not members:
                del self._groups[group]

    async def group_add(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        with self._lock:
            self._groups.setdefault(group, set()).add(channel)

    async def group_discard(self, group: str, channel: str) -> None:
        with self._lock:
            self._leave(group, channel)

    async def group_send(self, group: str, message: Message) -> None:
        self.publish(group, message)

    async def flush(self) -> None:
        with self._lock:
            self._inboxes.clear()
            self._groups.clear()
