"""Streams of the Docker engine, and of other servers, that a deadline can end."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from apps.engine.deadline import ASK_SECONDS, Deadline


def until(
    stream: Iterator[Any], close: Callable[[], None], deadline: Deadline, *, ahead: int = 1000
) -> Iterator[Any]:
    """Hand on a blocking stream from a thread, so that the deadline counts while it is silent, and
    while it never pauses.

    At most `ahead` items are taken before they are asked for. What `close` does not end goes on
    until its next item. Raises what `check` of the deadline raises; a time that is up ends the
    iteration without a word.
    """
    items: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    end = object()
    left = threading.Event()

    def put(item: Any) -> None:
        # Whoever has left takes nothing any more: a full queue must not hold this thread.
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                items.put(item, timeout=1)
                break

    def read() -> None:
        # Closing the stream from outside ends the read with whatever error the socket gives.
        with contextlib.suppress(Exception):
            for item in stream:
                put(item)
                if left.is_set():
                    break
        put(end)

    thread = threading.Thread(target=read, name="stream", daemon=True)
    thread.start()
    try:
        asked = time.monotonic()
        while (rest := deadline.remaining()) > 0:
            if time.monotonic() - asked >= ASK_SECONDS:
                deadline.check()
                asked = time.monotonic()
            try:
                item = items.get(timeout=min(ASK_SECONDS, rest))
            except queue.Empty:
                continue
            if item is end:
                return
            yield item
    finally:
        left.set()
        with contextlib.suppress(Exception):
            close()
