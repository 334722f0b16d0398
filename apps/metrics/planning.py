"""Rates from counters, long intervals from short ones, numbers in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apps.engine.usage import Usage
from apps.metrics.models import Resolution
from apps.metrics.packing import Point, Sample

KIB = 1024
CORE = 10_000
"""`Point.cpu` of one core that is busy all the time."""


# -------------------------------------------------------------------------------- rates, roll-ups


def point_between(before: Usage, now: Usage, seconds: float, tasks: int | None = None) -> Point:
    """What happened from one reading to the next. Counters that went back have begun again at
    zero: what they show now is what happened since."""

    def rate(old: int, new: int) -> float:
        return (new - old if new >= old else new) / seconds

    return Point(
        # Microseconds a second are a million for a busy core.
        cpu=round(rate(before.cpu, now.cpu) * CORE / 1_000_000),
        memory=now.memory // KIB,
        received=round(rate(before.received, now.received)),
        sent=round(rate(before.sent, now.sent)),
        read=round(rate(before.read, now.read)),
        written=round(rate(before.written, now.written)),
        tasks=now.pids if tasks is None else tasks,
    )


def roll_up(samples: Sequence[Sample]) -> Sample:
    """One sample for the time of several: the mean of means, the highest of highest."""
    count = len(samples)
    means = zip(*(sample.mean for sample in samples), strict=True)
    peaks = zip(*(sample.most for sample in samples), strict=True)
    return Sample(
        Point(*((sum(values) + count // 2) // count for values in means)), Point(*map(max, peaks))
    )


# ----------------------------------------------------------------------------------------- ranges


@dataclass(frozen=True)
class Range:
    """A stretch of time that charts show, up to now."""

    name: str
    words: str
    seconds: int
    resolution: Resolution
    step: str
    """The resolution in words."""


RANGES = (
    Range("1h", "1 h", 3600, Resolution.FINE, "every 15\u00a0s"),
    Range("24h", "24 h", 86_400, Resolution.MEDIUM, "every 5\u00a0min"),
    Range("7d", "7 d", 7 * 86_400, Resolution.COARSE, "every hour"),
    Range("30d", "30 d", 30 * 86_400, Resolution.COARSE, "every hour"),
)


def range_of(name: str) -> Range:
    """The range of that name; an hour for any other name."""
    return next((one for one in RANGES if one.name == name), RANGES[0])


def range_text(chosen: Range, now: float) -> str:
    """`20 Nov, 08:32 to 14:32, every 15 s` or `21 Oct to 20 Nov, every hour`."""
    begin, end = (
        dt.datetime.fromtimestamp(seconds, dt.UTC) for seconds in (now - chosen.seconds, now)
    )
    if chosen.seconds <= 86_400:
        first = f"{begin.day} {begin:%b}, {begin:%H:%M}"
        last = f"{end:%H:%M}" if begin.date() == end.date() else f"{end.day} {end:%b}, {end:%H:%M}"
    else:
        first, last = (f"{moment.day} {moment:%b}" for moment in (begin, end))
    return f"{first} to {last}, {chosen.step}"


class Moment(NamedTuple):
    at: int
    sample: Sample


Series = list[Moment]
"""One subject's samples in the order of time."""


# -------------------------------------------------------------------------------- numbers in words


def percent(share: float) -> str:
    """`14%`; below ten `0.4%`, so that a quiet app is not a dead one."""
    number = share * 100
    return f"{number:.1f}%" if 0 < number < 9.95 else f"{number:.0f}%"


def size(number: float) -> str:
    """`0 KB`, `412 MB`, `11.4 GB`."""
    return _scaled(number, ("KB", "MB", "GB", "TB"))


def rate(number: float) -> str:
    """`12 KB/s`, `1.2 MB/s`."""
    return _scaled(number, ("KB/s", "MB/s", "GB/s"))


def _scaled(number: float, units: Sequence[str]) -> str:
    value, place = number / KIB, 0
    while value >= 999.5 and place < len(units) - 1:
        value, place = value / KIB, place + 1
    # A decimal where it says something: not for kilobytes, not above a hundred.
    digits = 1 if place > 0 and value < 99.95 and value != round(value) else 0
    return f"{value:.{digits}f}\u00a0{units[place]}"


# ------------------------------------------------------------------------------------- sparklines

SPARK_WIDTH, SPARK_HEIGHT = 120, 28


def spark_paths(values: Sequence[int | None]) -> tuple[str, str]:
    """The line and the area below it of a sparkline. The baseline is zero, the top just above the
    highest value, and where a value is missing the line ends and begins anew."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return "", ""
    top = max(*known, 1) * 1.12
    step = SPARK_WIDTH / (len(values) - 1)
    lines, areas = [], []
    for run in _runs(values):
        places = [
            f"{at * step:.1f} {SPARK_HEIGHT - value / top * (SPARK_HEIGHT - 2):.1f}"
            for at, value in run
        ]
        line = "M" + " L".join(places)
        first, last = (f"{at * step:.1f} {SPARK_HEIGHT}" for at in (run[0][0], run[-1][0]))
        lines.append(line)
        areas.append(f"{line} L{last} L{first} Z")
    return " ".join(lines), " ".join(areas)


def _runs(values: Iterable[int | None]) -> list[list[tuple[int, int]]]:
    """Stretches of at least two values without a hole."""
    runs: list[list[tuple[int, int]]] = [[]]
    for at, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((at, value))
    return [run for run in runs if len(run) > 1]
