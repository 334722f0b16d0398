"""Visitors for `./mist bench`: people who open pages at random moments."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

PAUSE = 5.0
"""Seconds between two pages of one person, on average."""


@dataclass
class Load:
    """What a rate of pages did to the answers."""

    rate: float
    seconds: float
    milliseconds: list[float] = field(default_factory=list)
    failed: int = 0

    def quantile(self, share: float) -> float:
        """Milliseconds that `share` of the answers stayed below, measured from the moment the
        person asked, so that waiting counts."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    @property
    def achieved(self) -> float:
        return len(self.milliseconds) / self.seconds

    def as_dict(self) -> dict[str, float]:
        return {
            "offered_per_s": round(self.rate, 1),
            "answered_per_s": round(self.achieved, 1),
            "p50_ms": round(self.quantile(0.5), 1),
            "p95_ms": round(self.quantile(0.95), 1),
            "failed": self.failed,
        }


async def visit(
    port: int, paths: Sequence[str], cookies: Sequence[str], *, rate: float, seconds: float
) -> Load:
    """Open `rate` pages a second for `seconds`, as Poisson arrivals, spread over the people whose
    cookies are given. Each keeps a connection, as a browser does."""
    load = Load(rate, seconds)
    people = [_Person(port, cookie) for cookie in cookies]
    began = time.monotonic()
    at = began
    visits: list[asyncio.Task[None]] = []
    while True:
        at += random.expovariate(rate)
        if at > began + seconds:
            break
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        person, path = random.choice(people), random.choice(paths)
        visits.append(asyncio.create_task(_open(person, path, at, load)))
    await asyncio.gather(*visits)
    load.seconds = max(seconds, time.monotonic() - began)
    for person in people:
        person.leave()
    return load


async def _open(person: _Person, path: str, at: float, load: Load) -> None:
    try:
        status = await asyncio.wait_for(person.get(path), 30)
    except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
        person.leave()
        status = 0
    if status == 200:
        load.milliseconds.append((time.monotonic() - at) * 1000)
    else:
        load.failed += 1


class _Person:
    """One browser: one connection, one page at a time."""

    def __init__(self, port: int, cookie: str) -> None:
        self._port = port
        self._cookie = cookie
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> int:
        """The status of the page, read to its end."""
        async with self._lock:
            reader, writer = await self._connection()
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
                f"Cookie: {self._cookie}\r\nAccept: text/html\r\n\r\n".encode()
            )
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if "transfer-encoding: chunked" in head:
                while (size := int(await reader.readline(), 16)) > 0:
                    await reader.readexactly(size + 2)
                await reader.readline()
            elif "content-length: " in head:
                size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                await reader.readexactly(size)
            return int(head.split(" ", 2)[1])

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one that is open, unless the server has closed it, as it does with idle ones."""
        if self._streams is not None and self._streams[0].at_eof():
            self.leave()
        if self._streams is None or self._streams[1].is_closing():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    def leave(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
