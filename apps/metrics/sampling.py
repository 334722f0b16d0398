"""Taking samples: each 15 s of everything, for the database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

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
LEAST = 0.5
"""Seconds between two readings, below which a rate would be mostly noise."""


class Meter:
    """Turns counters into rates: remembers each subject's last reading."""

    def __init__(self, least: float = LEAST) -> None:
        self._least = least
        self._before: dict[int, tuple[str, float, Usage]] = {}

    def measure(self, containers: Mapping[int, str], *, host: bool) -> dict[int, Point]:
        """Subject → what it did since the last call. Who is met for the first time, or has
        another container now, has a point from the next call on. `EngineUnavailable` leaves the
        apps out."""
        readings = {HOST: ("", time.monotonic(), read_host())} if host else {}
        try:
            used = get_engine().containers.usage(containers.values())
        except EngineError as error:
            logger.warning("Apps cannot be measured: %s", error.sentence)
            used = {}
        now = time.monotonic()
        for app, container in containers.items():
            if container in used:
                readings[app] = (container, now, used[container])
        points = {}
        for subject, (container, at, usage) in readings.items():
            known, then, before = self._before.get(subject, ("none", 0.0, usage))
            if known == container and at - then >= self._least:
                tasks = round(read_load()[0] * 100) if subject == HOST else None
                points[subject] = point_between(before, usage, at - then, tasks)
        self._before = readings
        return points


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
    connection.close()
