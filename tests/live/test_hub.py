"""The shared streams: one reader, many viewers, each of whom gets everything exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from apps.live import hub as hubs
from apps.live.hub import Hub, Piece, Stream, Viewer

Place = tuple[int]


class Numbers:
    """Counts up; a piece holds at most ten numbers."""

    def __init__(self) -> None:
        self.last = 0
        self.runs = 0
        self.reads = 0
        self.grown = asyncio.Event()

    def grow(self, count: int) -> None:
        self.last += count
        self.grown.set()

    async def run(self, stream: Stream[Place]) -> None:
        self.runs += 1
        while True:
            await stream.wanted.wait()
            piece = self.piece(stream.end, self.last)
            if piece is None:
                self.grown.clear()
                await self.grown.wait()
            else:
                await stream.publish(piece.text, piece.end)

    async def read(self, place: Place, end: Place) -> Piece[Place] | None:
        self.reads += 1
        await asyncio.sleep(0)
        return self.piece(place, end[0])

    def piece(self, place: Place, last: int) -> Piece[Place] | None:
        numbers = range(place[0] + 1, min(last, place[0] + 10) + 1)
        if not numbers:
            return None
        return Piece(" ".join(map(str, numbers)), begin=place, end=(numbers[-1],))


class Page:
    def __init__(self, hub: Hub[Place], source: Numbers, place: int = 0) -> None:
        self.frames: list[str] = []
        self.viewer: Viewer[Place] = hub.join(
            "numbers", place=(place,), send=self.send, source=lambda: source
        )
        self.viewer.start()

    async def send(self, text: str) -> None:
        self.frames.append(text)

    @property
    def numbers(self) -> list[int]:
        return [int(number) for text in self.frames for number in text.split()]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def test_two_hundred_viewers_cost_one_reader() -> None:
    hub, source = Hub[Place](), Numbers()
    pages = [Page(hub, source) for _ in range(200)]
    await until(lambda: all(not page.viewer.behind for page in pages))
    for _ in range(50):
        source.grow(7)
        await asyncio.sleep(0)
    await until(lambda: all(page.numbers[-1:] == [350] for page in pages))
    assert all(page.numbers == list(range(1, 351)) for page in pages)
    assert (source.runs, source.reads) == (1, 0)
    # One text, encoded once, is what all of them were given.
    assert len({id(page.frames[-1]) for page in pages}) == 1


async def test_a_late_joiner_reads_up_and_joins_without_a_gap() -> None:
    hub, source = Hub[Place](), Numbers()
    first = Page(hub, source)
    source.grow(95)
    await until(lambda: len(first.numbers) == 95)
    late = [Page(hub, source, place) for place in (0, 50, 95)]
    for _ in range(20):
        source.grow(3)
        await asyncio.sleep(0)
    await until(lambda: all(page.numbers[-1:] == [155] for page in late))
    assert [page.numbers[0] for page in late] == [1, 51, 96]
    for page in [first, *late]:
        assert page.numbers == list(range(page.numbers[0], 156))


async def test_one_who_is_ahead_of_the_others_gets_nothing_twice() -> None:
    hub, source = Hub[Place](), Numbers()
    source.grow(40)
    first = Page(hub, source, 0)
    ahead = Page(hub, source, 38)
    source.grow(10)
    await until(lambda: first.numbers[-1:] == [50] == ahead.numbers[-1:])
    assert first.numbers == list(range(1, 51))
    assert ahead.numbers == list(range(39, 51))


async def test_a_page_that_takes_nothing_is_left_out_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "WINDOW", 1_000)
    hub, source = Hub[Place](), Numbers()
    quick, stuck = Page(hub, source), Page(hub, source)
    for _ in range(300):
        source.grow(10)
        await asyncio.sleep(0)
        quick.viewer.taken(len(quick.frames))
    await until(lambda: quick.viewer.taken(len(quick.frames)) or quick.numbers[-1:] == [3_000])  # type: ignore[func-returns-value]
    assert sum(map(len, stuck.frames)) < 1_100
    assert stuck.viewer.behind
    while stuck.numbers[-1] < 3_000:
        stuck.viewer.taken(len(stuck.frames))
        await asyncio.sleep(0.001)
    assert stuck.numbers == quick.numbers == list(range(1, 3_001))


async def test_when_all_are_behind_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "WINDOW", 100)
    hub, source = Hub[Place](), Numbers()
    page = Page(hub, source)
    source.grow(1_000)
    await until(lambda: page.viewer.behind)
    await asyncio.sleep(0.02)
    assert page.numbers[-1] < 100
    while page.numbers[-1] < 1_000:
        page.viewer.taken(len(page.frames))
        await asyncio.sleep(0.001)
    assert page.numbers == list(range(1, 1_001))


async def test_the_reader_goes_with_the_last_viewer() -> None:
    hub, source = Hub[Place](), Numbers()
    pages = [Page(hub, source) for _ in range(3)]
    await until(lambda: source.runs == 1)
    for page in pages:
        assert hub.find("numbers") is not None
        page.viewer.close()
    assert hub.find("numbers") is None
    source.grow(5)
    await asyncio.sleep(0.01)
    assert all(page.frames == [] for page in pages)
