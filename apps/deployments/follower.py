"""One container's output on its way from a thread that waits for the engine into the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from asgiref.sync import sync_to_async

from apps.deployments.masking import masked, settled
from apps.engine.base import Output
from apps.engine.connect import get_engine
from apps.engine.data import OutputLine
from apps.engine.errors import EngineError
from apps.engine.masking import Masker, Masking

LOOK_SECONDS = 1.0
"""How soon a container that ended, or an engine that was away, is looked at again."""
WAIT_SECONDS = 1.0
"""How long a line waits whose end is the begin of a value, while no other comes."""
WAITING_MOST = 20_000
"""Lines that may wait for the loop; past it the engine has to wait, which does no harm there."""


class Follower:
    """Follows from `since` on. Made in the loop, which is woken once for all that came."""

    def __init__(self, container_id: str, *, since: str, masker: Masker) -> None:
        self._container_id = container_id
        self._since = since
        self._loop = asyncio.get_running_loop()
        self._come = asyncio.Event()
        self._batches: deque[Sequence[OutputLine]] = deque()
        self._waiting = 0
        self._room = threading.Event()
        self._room.set()
        self._lock = threading.Lock()
        self._stream = Masking(masker)
        self._output: Output | None = None
        self._fed = 0
        """Batches so far."""
        self._closed = False
        self._ended = False

    def start(self) -> None:
        """Call in a thread: asks the engine. Raises `EngineUnavailable`."""
        output = get_engine().containers.output(self._container_id, since=self._since, follow=True)
        with self._lock:
            self._output = output
            if self._closed:
                output.close()
        threading.Thread(target=self._read, args=(output,), name="output", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """It has ended, and everything was taken."""
        return self._ended and not self._batches

    async def wait(self, other: asyncio.Event) -> None:
        """Return when there are lines, at the end, or when `other` is set."""
        if self._come.is_set() or other.is_set():
            return
        tasks = [asyncio.create_task(event.wait()) for event in (self._come, other)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def take(self) -> list[OutputLine]:
        """All lines that have come, in order."""
        self._come.clear()
        taken: list[OutputLine] = []
        with self._lock:
            for batch in self._batches:
                taken += batch
            self._batches.clear()
            self._waiting = 0
        self._room.set()
        if self._ended:
            self._come.set()
        return taken

    def close(self) -> None:
        """End it. What has not been taken is forgotten."""
        with self._lock:
            self._closed = True
            output = self._output
        self._room.set()
        if output is not None:
            output.close()

    def _read(self, output: Output) -> None:
        try:
            for batch in output:
                self._room.wait()
                if self._closed:
                    return
                with self._lock:
                    self._add([done for line in batch for done in masked(self._stream, line)])
                    self._fed += 1
                    if self._stream.waits:
                        self._call(self._wait, self._fed)
        except EngineError:
            pass
        finally:
            output.close()
            with self._lock:
                self._add(settled(self._stream))
            self._ended = True
            self._call(self._come.set)

    def _add(self, lines: Sequence[OutputLine]) -> None:
        if not lines:
            return
        if not self._batches:
            self._call(self._come.set)
        self._batches.append(lines)
        self._waiting += len(lines)
        if self._waiting > WAITING_MOST:
            self._room.clear()

    def _wait(self, fed: int) -> None:
        """In the loop: give a line that may be the begin of a value some time to go on."""
        self._loop.call_later(WAIT_SECONDS, self._waited, fed)

    def _waited(self, fed: int) -> None:
        with self._lock:
            if fed == self._fed and not self._closed:
                self._add(settled(self._stream))

    def _call(self, what: Callable[..., Any], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *args)
        except RuntimeError:
            return  # The loop is closed: Mist is stopping.


async def ask_engine(work: Callable[[], Any]) -> Any:
    """Something that waits for the engine, which may be away for a while."""
    while True:
        try:
            return await sync_to_async(work, thread_sensitive=False)()
        except EngineError:
            await asyncio.sleep(LOOK_SECONDS)
