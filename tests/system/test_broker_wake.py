"""The in-memory broker hands a message over when it is there."""

from __future__ import annotations

import threading
import time
from typing import Any

import kombu
import pytest

kit: Any = kombu
"""Untyped."""
QUEUE = kit.Queue("wake-test", kit.Exchange("wake-test"), routing_key="wake-test")


def connect() -> Any:
    return kit.Connection("memory://localhost//", transport="mist_project.broker:Transport")


def test_it_delivers_what_another_thread_sends_and_times_out_when_nothing_comes() -> None:
    taken: list[object] = []

    def send() -> None:
        with connect() as connection:
            producer = kit.Producer(connection.channel(), QUEUE.exchange)
            for number in range(3):
                producer.publish({"number": number}, routing_key="wake-test", declare=[QUEUE])
                time.sleep(0.02)

    def take(body: object, message: Any) -> None:
        taken.append(body)
        message.ack()

    with connect() as connection, kit.Consumer(connection.channel(), [QUEUE], callbacks=[take]):
        thread = threading.Thread(target=send)
        thread.start()
        for _ in range(3):
            connection.drain_events(timeout=10)
        thread.join()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.05)
    assert taken == [{"number": 0}, {"number": 1}, {"number": 2}]
