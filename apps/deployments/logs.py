"""Reading build logs: append-only files, by byte offset. `log_writing` makes them.

One line on disk is `<milliseconds since the epoch> <stage> <text>`, UTF-8, so an offset after a
newline is always a good place to go on reading.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

LINE_MAX = 8_000
FILE_MAX = 50 * 1024 * 1024
BLOCK = 1 << 20


def log_path(deployment_id: int) -> Path:
    """Where the deployment's build log is, whether it exists or not."""
    return Path(settings.MIST_DATA_DIR) / "logs" / f"{deployment_id}.log"


@dataclass(frozen=True)
class LogLine:
    number: int
    """1-based line of the file."""
    at: dt.datetime
    stage: str
    text: str

    @property
    def level(self) -> str:
        """`mist` for Mist's own words, `error` and `warn` for what reads like one."""
        return "mist" if self.text.startswith("» ") else level_of(self.text)

    @property
    def message(self) -> str:
        return self.text.removeprefix("» ")


def level_of(text: str) -> str:
    """`error` or `warn` for what reads like one, else empty."""
    lower = text.lower()
    if "error" in lower or "traceback (most recent call last)" in lower:
        return "error"
    return "warn" if "warning" in lower else ""


def parse_line(raw: bytes, number: int) -> LogLine:
    """One line of the file; a damaged one is shown as it is."""
    text = raw.decode(errors="replace").rstrip("\n")
    stamp, _, rest = text.partition(" ")
    stage, _, message = rest.partition(" ")
    if not stamp.isdigit():
        return LogLine(number, dt.datetime.fromtimestamp(0, dt.UTC), "", text)
    at = dt.datetime.fromtimestamp(int(stamp) / 1000, dt.UTC)
    return LogLine(number, at, stage, message)


@dataclass(frozen=True)
class LogChunk:
    lines: list[LogLine]
    offset: int
    """Byte to go on at."""
    number: int
    """Lines before that byte."""
    more: bool


def read_chunk(
    path: Path,
    *,
    offset: int = 0,
    number: int = 0,
    most: int = 2_000,
    until: int | None = None,
    size: int = FILE_MAX,
) -> LogChunk:
    """Up to `most` whole lines from `offset`, which lies behind `number` lines, none that begins
    at `until` or later, and not many more bytes than `size`.

    A half-written last line is left for the next time. A missing file is empty.
    """
    begin = offset
    lines: list[LogLine] = []
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for raw in file:
                if not raw.endswith(b"\n") or (until is not None and offset >= until):
                    break
                if len(lines) == most or offset - begin >= size:
                    return LogChunk(lines, offset, number, more=True)
                number += 1
                offset += len(raw)
                lines.append(parse_line(raw, number))
    except FileNotFoundError:
        pass
    return LogChunk(lines, offset, number, more=False)


def read_place(query: Mapping[str, Any]) -> tuple[int, int]:
    """`offset` and `number` of an address, each 0 where it is none."""
    texts = (str(query.get(name, "")) for name in ("offset", "number"))
    offset, number = (int(t) if re.fullmatch(r"[0-9]{1,12}", t) else 0 for t in texts)
    return offset, number


def frame(chunk: LogChunk) -> dict[str, object]:
    """What pages are sent: lines as [number, milliseconds since the epoch, stage, level, text],
    and the place to go on from as the address has it."""
    return {
        "lines": [
            [line.number, round(line.at.timestamp() * 1000), line.stage, line.level, line.message]
            for line in chunk.lines
        ],
        "place": {"offset": chunk.offset, "number": chunk.number},
        "more": chunk.more,
    }


def settle_place(path: Path, offset: int) -> tuple[int, int]:
    """The place in the log at `offset` or, where no line begins there, at its beginning: byte and
    lines before it. What a page says of the number of lines is not taken on trust."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, offset - 1))
            if offset == 0 or file.read(1) != b"\n":
                return 0, 0
            file.seek(0)
            number, left = 0, offset
            while left and (block := file.read(min(left, BLOCK))):
                number += block.count(b"\n")
                left -= len(block)
            return offset, number
    except FileNotFoundError:
        return 0, 0


def find_line(path: Path, number: int) -> tuple[int, int]:
    """The place before line `number`, or the end of a log that is shorter."""
    offset, before = 0, 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                count = block.count(b"\n")
                if before + count >= number - 1:
                    at = 0
                    for _ in range(number - 1 - before):
                        at = block.index(b"\n", at) + 1
                    return offset + at, max(0, number - 1)
                before += count
                offset += len(block)
    except FileNotFoundError:
        pass
    return offset, before


@dataclass(frozen=True)
class Found:
    """Lines that hold a text."""

    lines: list[int]
    total: int
    """Of these `lines` holds the first so many only."""


def search(path: Path, text: str, *, most: int = 10_000) -> Found:
    """Numbers of the lines that hold `text`, whatever its case."""
    wanted = text.casefold()
    lines, total = list[int](), 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.decode(errors="replace")
                if (
                    wanted not in line.casefold()
                    or wanted not in parse_line(raw, number).message.casefold()
                ):
                    continue
                total += 1
                if total <= most:
                    lines.append(number)
    except FileNotFoundError:
        pass
    return Found(lines, total)


def read_tail(path: Path, *, most: int = 2_000) -> LogChunk:
    """The last `most` lines, found without keeping more than those in memory."""
    total = 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                total += block.count(b"\n")
            file.seek(0)
            skip = max(0, total - most)
            for _ in range(skip):
                file.readline()
            return read_chunk(path, offset=file.tell(), number=skip, most=most)
    except FileNotFoundError:
        return LogChunk([], 0, 0, more=False)


def plain_text(path: Path) -> Iterator[str]:
    """The log for a person's editor: time, stage, text."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = parse_line(raw, number)
                yield f"{line.at:%Y-%m-%dT%H:%M:%S}Z {line.stage:<9} {line.message}\n"
    except FileNotFoundError:
        return
