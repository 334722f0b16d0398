"""What containers write, as pages have it: lines, places between them, and the newest ones kept.

A `Cursor` names the place behind a line so that it is found again in any later reading: the
deployment, the line's time in nanoseconds, how many lines of that very time there were up to it,
and how many of Mist's own rules followed.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apps.deployments.logs import LINE_MAX, level_of
from apps.engine.data import OutputLine

RING_LINES = 20_000
RING_SIZE = 4 * 1024 * 1024
SECOND = 1_000_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Cursor(NamedTuple):
    deployment: int
    time: int
    """Nanoseconds since 1970; 0 before the first line."""
    nth: int
    rules: int

    def __str__(self) -> str:
        return "-".join(map(str, self))

    @property
    def stamp(self) -> str:
        """Its time as the engine writes it, empty before the first line."""
        return stamp_of(self.time) if self.time else ""


START = Cursor(0, 0, 0, 0)


def read_cursor(text: str) -> Cursor:
    """The cursor of an address; the start where it is none."""
    if not re.fullmatch(r"[0-9]{1,12}-[0-9]{1,19}-[0-9]{1,9}-[0-9]{1,9}", text):
        return START
    return Cursor(*map(int, text.split("-")))


def read_replica(text: str) -> int:
    """Which of an app's containers an address asks for, the first one where it names none."""
    return int(text) if re.fullmatch(r"[1-9][0-9]?", text) else 1


def nanoseconds(stamp: str) -> int:
    """`2026-01-31T12:00:00.123456789Z` as nanoseconds since 1970, 0 for what is no time."""
    try:
        whole = dt.datetime.fromisoformat(stamp[:19] + "+00:00")
        digits = int(stamp[20:].rstrip("Z").ljust(9, "0")[:9])
    except ValueError:
        return 0
    return int(whole.timestamp()) * SECOND + digits


def stamp_of(time: int) -> str:
    """Nanoseconds since 1970 as the engine writes them."""
    whole = _EPOCH + dt.timedelta(seconds=time // SECOND)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time % SECOND:09d}Z"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, or a rule between lines."""

    cursor: Cursor
    """The place behind it."""
    stream: str
    """`out`, `err` or `rule`"""
    text: str

    @property
    def at(self) -> dt.datetime:
        return _EPOCH + dt.timedelta(microseconds=self.cursor.time // 1000)

    @property
    def level(self) -> str:
        return "" if self.stream == "rule" else level_of(self.text)

    @property
    def anchor(self) -> str:
        """Id of its element."""
        return f"T{self.cursor}"

    def encode(self) -> str:
        """As pages are sent it: [cursor, milliseconds, stream, level, text]."""
        cursor = str(self.cursor)
        line = [cursor, self.cursor.time // 1_000_000, self.stream, self.level, self.text]
        return json.dumps(line, ensure_ascii=False)


def entries_after(cursor: Cursor, lines: Iterable[OutputLine]) -> Iterator[Entry]:
    """Lines of the cursor's deployment with the places behind them, counted on from `cursor`."""
    deployment, time, count, _ = cursor
    for line in lines:
        now = nanoseconds(line.stamp)
        count = count + 1 if now == time else 1
        time = now
        yield Entry(Cursor(deployment, time, count, 0), line.stream, line.text[:LINE_MAX])


def newest_entries(deployment_id: int, lines: Sequence[OutputLine], *, most: int) -> list[Entry]:
    """The last `most` of the lines, which must be the end of an output: of more than `most` lines
    those of the first one's time are left out, for nobody knows how many of them came before."""
    if len(lines) > most:
        lines = [line for line in lines if line.stamp != lines[0].stamp]
    return list(entries_after(Cursor(deployment_id, 0, 0, 0), lines))[-most:]


class Resume:
    """Finds the place of a cursor again in a reading that begins about a second before it.

    Two streams are stamped by two writers, so stamps may go back a little: order is that of the
    file, and what is new begins behind the line that the cursor names.
    """

    def __init__(self, cursor: Cursor) -> None:
        self.known: list[Entry] = []
        """What came before the cursor, for those who come back from a little earlier."""
        self._cursor = cursor
        self._counted = Cursor(cursor.deployment, 0, 0, 0)
        self._found = cursor.time == 0

    @property
    def since(self) -> str:
        """Stamp to read from."""
        return stamp_of(max(0, self._cursor.time - SECOND)) if self._cursor.time else ""

    def feed(self, lines: Iterable[OutputLine]) -> list[Entry]:
        """Those of the next lines that are new."""
        fresh: list[Entry] = []
        for entry in entries_after(self._counted, lines):
            self._counted = entry.cursor
            if self._found:
                fresh.append(entry)
                continue
            if entry.cursor.time > self._cursor.time + SECOND:
                # The line itself is gone (the engine keeps so much only): go on by time.
                self._found = True
                fresh += [e for e in self.known if e.cursor.time > self._cursor.time] + [entry]
                continue
            self.known.append(entry)
            if entry.cursor[1:3] == self._cursor[1:3]:
                self._found = True
        return fresh


class Ring:
    """The newest entries, each with its number; older ones go."""

    def __init__(self, first: int, before: Cursor) -> None:
        self.first = first
        """Number of the oldest entry that is kept."""
        self._before: Cursor | None = before
        self._kept: deque[tuple[Cursor, str]] = deque()
        self._size = 0

    @property
    def end(self) -> int:
        """The number that the next entry gets."""
        return self.first + len(self._kept)

    def add(self, entries: Iterable[Entry]) -> list[str]:
        """Keep them; returns them encoded."""
        made = [(entry.cursor, entry.encode()) for entry in entries]
        self._kept.extend(made)
        self._size += sum(len(text) for _, text in made)
        while len(self._kept) > RING_LINES or self._size > RING_SIZE:
            self._before, text = self._kept.popleft()
            self._size -= len(text)
            self.first += 1
        return [text for _, text in made]

    def put_before(self, entries: list[Entry]) -> None:
        """Entries from before all that are kept, without counting them as new."""
        made = [(entry.cursor, entry.encode()) for entry in entries]
        self._kept.extendleft(reversed(made))
        self._size += sum(len(text) for _, text in made)
        self.first -= len(made)
        self._before = None if made else self._before

    def find(self, cursor: Cursor) -> int | None:
        """Number of the entry behind that place; None when it is not here."""
        for back, (kept, _) in enumerate(reversed(self._kept)):
            if kept == cursor:
                return self.end - back
        return self.first if cursor == self._before else None

    def slice(self, begin: int, end: int, *, size: int) -> tuple[list[str], int, Cursor] | None:
        """Encoded entries from number `begin` until before `end`, about `size` characters at most,
        with the number and the cursor behind them. None when there are none."""
        texts: list[str] = []
        behind, left = START, size
        first, last = begin - self.first, min(end, self.end) - self.first
        for cursor, text in itertools.islice(self._kept, first, max(first, last)):
            texts.append(text)
            behind = cursor
            left -= len(text)
            if left <= 0:
                break
        return (texts, begin + len(texts), behind) if texts else None


def frame(texts: list[str], cursor: Cursor) -> str:
    """What pages are sent, of encoded entries and the place behind them."""
    return f'{{"log":{{"lines":[{",".join(texts)}],"place":{{"at":"{cursor}"}}}}}}'
