"""The layer that carries live messages inside one process."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mist_project.live import CAPACITY, LocalChannelLayer


async def test_a_message_from_another_thread_arrives() -> None:
    layer = LocalChannelLayer()
    name = await layer.new_channel()
    await layer.group_add("mist.lobby", name)
    thread = threading.Thread(target=layer.publish, args=("mist.lobby", {"type": "a"}))
    thread.start()
    assert await asyncio.wait_for(layer.receive(name), 5) == {"type": "a"}
    thread.join()


async def test_equal_messages_that_wait_are_one() -> None:
    layer = LocalChannelLayer()
    name = await layer.new_channel()
    await layer.group_add("g", name)
    for kind in ("a", "a", "b", "a"):
        layer.publish("g", {"type": kind})
    await asyncio.sleep(0)
    assert [await layer.receive(name), await layer.receive(name)] == [{"type": "a"}, {"type": "b"}]
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(layer.receive(name), 0.01)


async def test_a_reader_that_is_slow_costs_no_more_than_its_bound() -> None:
    layer = LocalChannelLayer()
    name = await layer.new_channel()
    await layer.group_add("g", name)
    for number in range(CAPACITY * 3):
        layer.publish("g", {"type": "a", "number": number})
    await asyncio.sleep(0)
    assert (await layer.receive(name))["number"] == CAPACITY * 2


async def test_who_left_or_ended_hears_nothing_more() -> None:
    layer = LocalChannelLayer()
    left, ended = await layer.new_channel(), await layer.new_channel()
    for name in (left, ended):
        await layer.group_add("g", name)
    await layer.group_discard("g", left)
    reader = asyncio.create_task(layer.receive(ended))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert layer._groups == {}
    layer.publish("g", {"type": "a"})
