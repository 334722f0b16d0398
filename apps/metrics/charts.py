"""Charts of samples, and the same numbers as sentences and tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from apps.metrics.packing import Point
from apps.metrics.planning import CORE, KIB, Series, percent, rate, size


def columns(series: Series, step: int) -> dict[str, list[int | None]]:
    """Times and values as a chart takes them. Where samples are missing there is one moment
    without values, so that no line is drawn across."""
    times: list[int | None] = []
    rows: list[tuple[int | None, ...]] = []
    for at, sample in series:
        if times and at - (times[-1] or 0) > 1.5 * step:
            times.append((times[-1] or 0) + step)
            rows.append((None,) * len(Point._fields))
        times.append(at)
        rows.append(sample.mean)
    values = zip(*rows, strict=True) if rows else ((),) * len(Point._fields)
    return {"at": times} | {
        name: list(column) for name, column in zip(Point._fields, values, strict=True)
    }


@dataclass(frozen=True)
class Limits:
    """What a subject may use at most."""

    cpu: int
    """As `Point.cpu`."""
    memory: int
    """KiB."""


@dataclass(frozen=True)
class Row:
    """One line of the table that says what charts show."""

    field: str
    unit: str
    """As of a `Plot`, or `count`."""
    name: str
    now: str
    mean: str
    least: str
    most: str


LOAD = "Load"
APP_NAMES = {
    "cpu": "CPU",
    "memory": "Memory",
    "received": "Network in",
    "sent": "Network out",
    "read": "Block I/O, read",
    "written": "Block I/O, written",
    "tasks": "Processes and threads",
}
HOST_NAMES = APP_NAMES | {"read": "Disk, read", "written": "Disk, written", "tasks": LOAD}


def summary(series: Series, limits: Limits, names: dict[str, str]) -> list[Row]:
    """Newest value, average, lowest and highest of everything; nothing for no samples."""
    if not series:
        return []
    count = len(series)
    found = []
    for field, name in names.items():
        place = Point._fields.index(field)
        means = [moment.sample.mean[place] for moment in series]
        numbers = (
            means[-1],
            round(sum(means) / count),
            min(means),
            max(moment.sample.most[place] for moment in series),
        )
        words = (value_text(field, number, limits, host=name == LOAD) for number in numbers)
        found.append(Row(field, _unit(field, name), name, *words))
    return found


def _unit(field: str, name: str) -> str:
    return {
        "cpu": "percent",
        "memory": "size",
        "tasks": "load" if name == LOAD else "count",
    }.get(field, "rate")


def value_text(field: str, value: int, limits: Limits, *, host: bool = False) -> str:
    """A value of a `Point` in words; `host` says that its tasks are a load average."""
    if field == "cpu":
        return percent(value / limits.cpu if limits.cpu else 0.0)
    if field == "memory":
        return size(value * KIB)
    if field == "tasks":
        return f"{value / 100:.2f}" if host else str(value)
    return rate(value)


def sentence(name: str, series: Series, field: str, limits: Limits, words: str) -> str:
    """What a chart shows, for those who cannot see it."""
    place = Point._fields.index(field)
    rows = summary(series, limits, {field: name})
    if not rows:
        return f"{name} over the last {words}: no samples yet."
    row = rows[0]
    peak = max(series, key=lambda moment: moment.sample.most[place]).at
    when = dt.datetime.fromtimestamp(peak, dt.UTC)
    return (
        f"{name} over the last {words}: average {row.mean}, "
        f"highest {row.most} on {when.day} {when:%b} at {when:%H:%M}, now {row.now}."
    )


# ------------------------------------------------------------------------------------------- plots


@dataclass(frozen=True)
class Key:
    """One line of a chart."""

    label: str
    field: str
    now: str
    series: int


@dataclass(frozen=True)
class Plot:
    """One chart, as `partials/plot.html` and static/charts.js draw it."""

    name: str
    unit: str
    """`percent` of the limit, `size` (of KiB), `rate` (bytes a second) or `load` (hundredths)."""
    keys: Sequence[Key]
    sentence: str
    limit: int = 0
    """In the units of a `Point`; 0 for none."""
    limit_text: str = ""

    @property
    def fields(self) -> str:
        return " ".join(key.field for key in self.keys)


_Lines = Sequence[tuple[str, str]]


def _plot(
    name: str, unit: str, lines: _Lines, series: Series, limits: Limits, words: str, cap: str = ""
) -> Plot:
    last = series[-1].sample.mean if series else None
    host = unit == "load"

    def now(field: str) -> str:
        return "–" if last is None else value_text(field, getattr(last, field), limits, host=host)

    keys = [Key(label, field, now(field), n) for n, (label, field) in enumerate(lines, 1)]
    told = [
        sentence(name if len(lines) == 1 else f"{name}, {label.lower()}", series, f, limits, words)
        for label, f in lines
    ]
    limit = {"percent": limits.cpu, "size": limits.memory}.get(unit, 0)
    return Plot(name, unit, keys, " ".join(told), limit, cap)


def app_plots(series: Series, limits: Limits, words: str) -> list[Plot]:
    """Of one app; `words` name the range: `24 h`."""
    cap = limits.cpu / CORE
    cpu = f"Limit {cap:g}\u00a0core" + ("" if cap == 1 else "s")
    memory = f"Limit {size(limits.memory * KIB)}"
    return [
        _plot("CPU", "percent", [("Used", "cpu")], series, limits, words, cpu),
        _plot("Memory", "size", [("Used", "memory")], series, limits, words, memory),
        _plot("Network", "rate", [("In", "received"), ("Out", "sent")], series, limits, words),
        _plot(
            "Block I/O", "rate", [("Read", "read"), ("Written", "written")], series, limits, words
        ),
    ]


def host_plots(series: Series, limits: Limits, words: str) -> list[Plot]:
    """Of the machine."""
    count = limits.cpu // CORE
    cpu = f"{count}\u00a0core" + ("" if count == 1 else "s")
    memory = f"Of {size(limits.memory * KIB)}"
    return [
        _plot("CPU", "percent", [("Used", "cpu")], series, limits, words, cpu),
        _plot("Memory", "size", [("Used", "memory")], series, limits, words, memory),
        _plot("Network", "rate", [("In", "received"), ("Out", "sent")], series, limits, words),
        _plot("Disk", "rate", [("Read", "read"), ("Written", "written")], series, limits, words),
        _plot("Load", "load", [("1 min", "tasks")], series, limits, words),
    ]
