"""Hearing that something changed, and noticing when nothing can be heard any more."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from pytest_django import Settings

from apps.deployments import events
from apps.live.consumers import Answer, PageConsumer
from apps.live.nudges import heard_by
from mist_project.live import LocalChannelLayer

GROUP = "mist.log.1"


class Deaf(LocalChannelLayer):
    async def receive(self, channel: str) -> dict[str, Any]:
        raise ConnectionError("the line is dead")


async def test_a_message_to_the_group_sets_the_event_until_the_end() -> None:
    event, layer = asyncio.Event(), get_channel_layer()
    assert layer is not None
    async with heard_by(event, group=GROUP):
        await layer.group_send(GROUP, {"type": "grew"})
        await asyncio.wait_for(event.wait(), 10)
    event.clear()
    await layer.group_send(GROUP, {"type": "grew"})
    await asyncio.sleep(0.01)
    assert not event.is_set()


async def test_who_would_wait_for_good_is_told(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.Deaf"}}
    began = time.monotonic()
    with pytest.raises(ExceptionGroup) as told:
        async with heard_by(asyncio.Event(), group=GROUP):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
    assert told.group_contains(ConnectionError, match="the line is dead")
    assert time.monotonic() - began < 30


class Site:
    """Answers once; afterwards with what cannot be sent."""

    def __init__(self) -> None:
        self.answers = ["<p>Fine</p>", "\ud800"]

    async def parts(self, scope: object, path: str) -> Answer:
        return Answer(200, self.answers.pop(0), 1, lambda need: True)

    async def run(self, work: Any) -> Any:
        return work()


@pytest.mark.django_db(transaction=True)
async def test_a_page_that_cannot_be_refreshed_any_more_loses_its_socket_and_comes_anew() -> None:
    socket = WebsocketCommunicator(PageConsumer(Site()), "/ws/page/?path=/projects/shop/")
    assert (await socket.connect(timeout=10))[0]
    assert "Fine" in await socket.receive_from(timeout=10)
    events.engine_changed()
    assert (await socket.receive_output(timeout=10))["type"] == "websocket.close"
    await socket.disconnect()
