"""Taking samples: each 15 s of everything, for the database."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Mapping, Sequence

from django.db import connection
from django.db.utils import Error as DatabaseError

from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.engine.host_usage import read_host, read_load
from apps.engine.usage import Usage
from apps.metrics.models import Resolution
from apps.metrics.packing import HOST, Point, Sample
from apps.metrics.planning import point_between
from apps.metrics.selectors import live_containers
from apps.metrics.services import samples_expire, samples_roll_up, samples_write

logger = logging.getLogger("mist.metrics")
STEP = int(Resolution.FINE)
HOUSEKEEPING = int(Resolution.MEDIUM)
_HOST = ""
LEAST = 0.5
"""Seconds between two readings, below which a rate would be mostly noise."""


class Meter:
    """Turns counters into rates: remembers each subject's last reading."""

    def __init__(self, least: float = LEAST) -> None:
        self._least = least
        self._before: dict[str, tuple[float, Usage]] = {}
        """Container, or the host's empty name → when it was read, and what."""

    def measure(self, containers: Mapping[int, Sequence[str]], *, host: bool) -> dict[int, Point]:
        """Subject → what it did since the last call, all its containers together. Who is met for
        the first time, or has another container now, has a point from the next call on.
        `EngineUnavailable` leaves the apps out."""
        readings = {_HOST: (time.monotonic(), read_host())} if host else {}
        try:
            used = get_engine().containers.usage(itertools.chain(*containers.values()))
        except EngineError as error:
            logger.warning("Apps cannot be measured: %s", error.sentence)
            used = {}
        now = time.monotonic()
        readings |= {container: (now, usage) for container, usage in used.items()}
        subjects = {HOST: [_HOST], **containers} if host else containers
        points = {}
        for subject, parts in subjects.items():
            if point := self._point(subject, [one for one in parts if one in readings], readings):
                points[subject] = point
        self._before = readings
        return points

    def _point(
        self, subject: int, parts: Sequence[str], readings: Mapping[str, tuple[float, Usage]]
    ) -> Point | None:
        found = []
        for part in parts:
            at, usage = readings[part]
            then, before = self._before.get(part, (at, usage))
            if at - then < self._least or part not in self._before:
                return None
            tasks = round(read_load()[0] * 100) if subject == HOST else None
            found.append(point_between(before, usage, at - then, tasks))
        return Point(*map(sum, zip(*found, strict=True))) if found else None


class Recorder:
    """Keeps a sample of the host and of every running app each 15 s."""

    def __init__(self, meter: Meter | None = None) -> None:
        self._meter = meter or Meter()

    def record(self, now: float) -> None:
        """Measure and write; on full 5 minutes roll up and forget too. The first call only reads
        the counters."""
        points = self._meter.measure(live_containers(), host=True)
        at = int(now) - int(now) % STEP
        samples = {subject: Sample(point, point) for subject, point in points.items()}
        samples_write(at=at, samples=samples, resolution=Resolution.FINE)
        if at % HOUSEKEEPING == 0:
            samples_roll_up(now=now)
            samples_expire(now=now)


def record_metrics(stopping: threading.Event) -> None:
    """Work of a thread: record at every full quarter of a minute until `stopping` is set."""
    recorder = Recorder()
    pause = 0.0
    while not stopping.wait(pause):
        try:
            recorder.record(time.time())
        except DatabaseError as error:
            logger.warning("Samples cannot be kept: %s", error)
            connection.close()
        pause = STEP - time.time() % STEP
