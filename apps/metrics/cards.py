"""Numbers of now as pieces of pages, for the first view and for each second after it."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.engine.host_usage import (
    Disk,
    HostFacts,
    read_disks,
    read_facts,
    read_host,
    read_load,
    uptime,
)
from apps.metrics.charts import Limits
from apps.metrics.live import Snapshot
from apps.metrics.packing import HOST, Point
from apps.metrics.planning import CORE, KIB, percent, rate, size
from apps.metrics.selectors import last_hour, running_count
from apps.projects.models import App


@dataclass(frozen=True)
class Gauge:
    """One number with its line through the last hour."""

    name: str
    of: str
    """What it is a part of, or what else is worth saying."""
    value: str
    """Empty when it is not known."""
    line: Sequence[int | None]
    series: int = 1


@functools.cache
def host_facts() -> HostFacts:
    """Read once: none of it changes while Mist runs."""
    return read_facts()


@functools.cache
def _engine_storage() -> Path:
    return get_engine().containers.storage()


def _data_place() -> tuple[Path, str]:
    return Path(settings.MIST_DATA_DIR), "Mist's data"


def disks() -> list[Disk]:
    """The filesystems that matter, that of Mist's data first."""
    places = [_data_place()]
    try:
        places.append((_engine_storage(), "images and containers"))
    except EngineError:
        # Not answering just now: then that filesystem is left out.
        pass
    return read_disks([*places, (Path("/"), "system")])


def host_limits() -> Limits:
    facts = host_facts()
    return Limits(cpu=facts.cores * CORE, memory=facts.memory // KIB)


def app_limits(app: App) -> Limits:
    return Limits(cpu=round(app.cpus * CORE), memory=app.memory_mb * KIB)


def cores(number: float) -> str:
    """`1 core`, `0.5 cores`."""
    return f"{number:g}\u00a0core" + ("" if number == 1 else "s")


def span(seconds: float) -> str:
    """`42 days`, `3 h`, `12 min`."""
    for length, word in ((86_400, "day"), (3600, "h"), (60, "min")):
        if (count := int(seconds // length)) > 0:
            return f"{count}\u00a0{word}" + ("s" if word == "day" and count != 1 else "")
    return "a moment"


# -------------------------------------------------------------------------------------- host's row


def host_row(point: Point | None, hour: Sequence[Point | None], running: int) -> dict[str, Any]:
    """What `partials/host_metrics.html` shows, with the number of apps that run. Memory, disk
    and load are read now; CPU takes two readings, so it comes from `point`."""
    facts, limits, load = host_facts(), host_limits(), read_load()
    memory = read_host().memory
    used = "" if point is None else percent(point.cpu / limits.cpu)
    return {
        "facts": facts,
        "up": span(uptime(facts)),
        "running": running,
        "cpu": Gauge("CPU", cores(facts.cores), used, _line(hour, "cpu")),
        "memory": Gauge("Memory", f"of {size(facts.memory)}", size(memory), _line(hour, "memory")),
        "load": Gauge("Load", "1, 5, 15 min", f"{load[0]:.2f}", _line(hour, "tasks")),
        "load_rest": f"{load[1]:.2f} {load[2]:.2f}",
        "disk": next(iter(read_disks([_data_place()])), None),
    }


def host_row_now(running: int) -> dict[str, Any]:
    """As far as the database knows it: one query."""
    return host_row(*last_hour(HOST, time.time()), running)


def host_row_frame(snapshot: Snapshot) -> str:
    context = {"host": host_row(snapshot.point, snapshot.hour, running_count())}
    return _html(render_to_string("partials/host_metrics.html", context))


# --------------------------------------------------------------------------------------- app's card


def usage(app: App, point: Point | None, hour: Sequence[Point | None]) -> list[Gauge]:
    """What `partials/app_usage.html` shows; nothing for an app without any samples."""
    if point is None and not any(hour):
        return []
    limits = app_limits(app)
    traffic = [None if p is None else p.received + p.sent for p in hour]
    return [
        Gauge(
            "CPU",
            f"of {cores(float(app.cpus))}",
            "" if point is None else percent(point.cpu / limits.cpu),
            _line(hour, "cpu"),
        ),
        Gauge(
            "Memory",
            f"of {size(limits.memory * KIB)}",
            "" if point is None else size(point.memory * KIB),
            _line(hour, "memory"),
        ),
        Gauge(
            "Network",
            "in and out",
            "" if point is None else rate(point.received + point.sent),
            traffic,
            series=2,
        ),
    ]


def usage_now(app: App) -> list[Gauge]:
    return usage(app, *last_hour(app.pk, time.time()))


def usage_frame(snapshot: Snapshot) -> str:
    app = App.objects.select_related("project").filter(pk=snapshot.subject).first()
    if app is None:
        return _html("")
    gauges = usage(app, snapshot.point, snapshot.hour)
    context = {"app": app, "project": app.project, "usage": gauges}
    return _html(render_to_string("partials/app_usage.html", context))


def usage_words(app: App) -> tuple[str, str]:
    """CPU, as a share of one core, and memory of an app that has its newest `point`."""
    point: Point = app.point  # type: ignore[attr-defined]
    return percent(point.cpu / CORE), size(point.memory * KIB)


# ------------------------------------------------------------------------------------ live numbers


def numbers_frame(snapshot: Snapshot) -> str:
    """For charts: the values of a `Point` in its order, None while the subject does not run."""
    return json.dumps({"metrics": {"at": int(snapshot.at), "values": snapshot.point}})


def _html(text: str) -> str:
    return json.dumps({"html": text}, ensure_ascii=False)


def _line(hour: Sequence[Point | None], field: str) -> list[int | None]:
    place = Point._fields.index(field)
    return [None if point is None else point[place] for point in hour]
