"""Shared streams: one reader of a source, however many pages look at it.

A `Stream` stands at one place of its source. Viewers who have read as far get every frame at once,
encoded a single time. A viewer who joins late, or does not take what it is sent, reads up by itself
from its own place and then joins the others: none gets anything twice, and none holds up the rest.

Everything here runs in one event loop and needs no locks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from apps.live.pages import Send

logger = logging.getLogger("mist.live")
WINDOW = 256 * 1024
"""Characters that may be on their way to one page. A page says each 64 K of lines how far it is."""
RETRY_SECONDS = 1.0
PACE_LEAST, PACE_MOST = 0.002, 0.25
PACE_SHARE = 2.0

P = TypeVar("P", bound=tuple[int, ...])
"""A place in a source; a later one is greater."""


class Gone(Exception):
    """The source has nothing of that place any more."""


@dataclass(frozen=True)
class Piece(Generic[P]):
    """Something to send, and the places before and behind it."""

    text: str
    begin: P
    end: P


class Source(Protocol[P]):
    """What a stream reads. Its places must say everything that is needed to go on from them."""

    async def run(self, stream: Stream[P]) -> None:
        """Publish what comes, until cancelled. Runs only while somebody looks."""
        ...

    async def read(self, place: P, end: P) -> Piece[P] | None:
        """A piece from `place` on that does not go past `end`; None when there is nothing left
        between the two. Raises `Gone`."""
        ...


class Stream(Generic[P]):
    """One source and who looks at it."""

    def __init__(self, source: Source[P], end: P, *, forget: Callable[[], None]) -> None:
        self.source = source
        self.end = end
        """Where the viewers who keep up are."""
        self.wanted = asyncio.Event()
        """Set while at least one viewer keeps up: otherwise there is nobody to publish to."""
        self._forget = forget
        self._viewers: set[Viewer[P]] = set()
        self._ready: dict[Viewer[P], None] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def watched(self) -> int:
        """Viewers, those who lag behind too."""
        return len(self._viewers)

    async def publish(self, text: str, end: P) -> float:
        """Hand one frame to everybody who keeps up; `end` is the place behind it. Returns how
        many seconds that took."""
        began = time.monotonic()
        self.end = end
        for viewer in tuple(self._ready):
            await viewer.put(text, end)
        return time.monotonic() - began

    def jump(self, end: P) -> None:
        """Go on from another place. Whoever stood at the old one reads up by itself."""
        if end == self.end:
            return
        self.end = end
        for viewer in tuple(self._ready):
            self.leave_ready(viewer)
            viewer.read_up()

    # ---------------------------------------------------------------------------- for viewers

    def add(self, viewer: Viewer[P]) -> None:
        self._viewers.add(viewer)
        viewer.read_up()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def remove(self, viewer: Viewer[P]) -> None:
        self._viewers.discard(viewer)
        self.leave_ready(viewer)
        if not self._viewers:
            self._forget()
            if self._task is not None:
                self._task.cancel()

    def is_ready(self, viewer: Viewer[P]) -> bool:
        return viewer in self._ready

    def join_ready(self, viewer: Viewer[P]) -> None:
        self._ready[viewer] = None
        self.wanted.set()

    def leave_ready(self, viewer: Viewer[P]) -> None:
        self._ready.pop(viewer, None)
        if not self._ready:
            self.wanted.clear()

    async def _run(self) -> None:
        while True:
            try:
                await self.source.run(self)
            except Exception:
                logger.exception("A stream stopped, it is begun again")
            await asyncio.sleep(RETRY_SECONDS)


class Viewer(Generic[P]):
    """One page that looks at a stream: how far it was sent, and how much it has not taken yet."""

    def __init__(
        self, stream: Stream[P], place: P, send: Send, *, gone: Callable[[], None] | None = None
    ) -> None:
        self.place = place
        self._gone = gone
        """Told when the source has nothing of the viewer's place any more."""
        self._stream = stream
        self._send = send
        self._unread: deque[int] = deque()
        self._size = 0
        self._taken = 0
        self._room = asyncio.Event()
        self._room.set()
        self._reading: asyncio.Task[None] | None = None

    @property
    def behind(self) -> bool:
        """Not where the stream is: reading up, or waiting for the page to take what it has."""
        return not self._stream.is_ready(self)

    def start(self) -> None:
        self._stream.add(self)

    def close(self) -> None:
        """Nothing is sent afterwards."""
        self._stream.remove(self)
        if self._reading is not None:
            self._reading.cancel()

    def move(self, stream: Stream[P], place: P) -> None:
        """Look at another stream from now on."""
        self._stream.remove(self)
        self._stream, self.place = stream, place
        stream.add(self)

    def taken(self, frames: object) -> None:
        """The page says how many frames it has taken since it connected."""
        if not isinstance(frames, int):
            return
        while self._unread and self._taken < frames:
            self._taken += 1
            self._size -= self._unread.popleft()
        if self._size <= WINDOW // 2 and not self._room.is_set():
            self._room.set()
            self.read_up()

    async def put(self, text: str, end: P) -> None:
        """Send a frame. Past the window the viewer is left out until the page has taken some."""
        self.place = end
        self._unread.append(len(text))
        self._size += len(text)
        if self._size > WINDOW:
            self._room.clear()
            self._stream.leave_ready(self)
        await self._send(text)

    def read_up(self) -> None:
        """Read from this viewer's own place until it stands where the stream is."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_up())

    async def _read_up(self) -> None:
        stream = self._stream
        while self._room.is_set():
            if self.place == stream.end:
                stream.join_ready(self)
                return
            if self.place > stream.end:
                stream.jump(self.place)
                continue
            try:
                piece = await stream.source.read(self.place, stream.end)
            except Gone:
                if self._gone is not None:
                    asyncio.get_running_loop().call_soon(self._gone)
                return
            except Exception:
                logger.exception("Reading up for a page")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if piece is None:
                # What lay between is gone: nobody could read it any more.
                self.place = stream.end
            else:
                await self.put(piece.text, piece.end)


class Hub(Generic[P]):
    """The streams of one process, by what they are of."""

    def __init__(self) -> None:
        self._streams: dict[Hashable, Stream[P]] = {}

    def join(
        self, key: Hashable, *, place: P, send: Send, source: Callable[[], Source[P]]
    ) -> Viewer[P]:
        """A viewer of the stream of `key` from `place` on, not started yet. The first one of a
        stream decides where it begins."""
        return Viewer(self.stream(key, place=place, source=source), place, send)

    def stream(self, key: Hashable, *, place: P, source: Callable[[], Source[P]]) -> Stream[P]:
        """The stream of `key`; a new one stands at `place`."""
        stream = self._streams.get(key)
        if stream is None:
            stream = Stream(source(), place, forget=lambda: self._drop(key))
            self._streams[key] = stream
        return stream

    def find(self, key: Hashable) -> Stream[P] | None:
        return self._streams.get(key)

    def _drop(self, key: Hashable) -> None:
        self._streams.pop(key, None)


class Pace:
    """How often to hand on lines that come fast: handing on may take about a third of the time,
    and what comes after a quiet moment goes at once."""

    def __init__(self) -> None:
        self._cost = 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Return when the next frame is due."""
        left = self._next - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)

    def spent(self, seconds: float) -> None:
        """Handing on a frame took so long."""
        self._cost = 0.7 * self._cost + 0.3 * seconds
        pause = min(PACE_MOST, max(PACE_LEAST, self._cost * PACE_SHARE))
        self._next = time.monotonic() + pause
