"""Hearing that something has changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from channels.layers import get_channel_layer


@contextlib.asynccontextmanager
async def heard_by(event: asyncio.Event, *, group: str) -> AsyncIterator[None]:
    """Meanwhile each message to the group sets the event. When none can be heard any more the
    block ends with that error: whoever waits for the event would wait for good."""
    layer: Any = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    try:
        async with asyncio.TaskGroup() as tasks:
            listener = tasks.create_task(_listen(layer, channel, event))
            try:
                yield
            finally:
                listener.cancel()
    finally:
        await layer.group_discard(group, channel)


async def _listen(layer: Any, channel: str, event: asyncio.Event) -> None:
    while True:
        await layer.receive(channel)
        event.set()
