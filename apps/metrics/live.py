"""Numbers each second, while somebody looks: one thread, whatever the number of viewers."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db import connection
from django.db.utils import Error as DatabaseError

from apps.live.pages import Send
from apps.metrics.packing import HOST, Point
from apps.metrics.sampling import Meter
from apps.metrics.selectors import MINUTE, MINUTES, last_hour, live_containers
from apps.system.loops import keep_up

logger = logging.getLogger("mist.metrics")
SECOND = 1.0
PAUSE_MOST = 5.0
"""Seconds until what failed is tried again: somebody looks."""


@dataclass(frozen=True)
class Snapshot:
    """One subject, now."""

    subject: int
    at: float
    """Seconds since the epoch."""
    point: Point | None
    """None while it does not run."""
    hour: list[Point | None]
    """A point of each minute of the last hour, the newest one of this moment."""


Form = Callable[[Snapshot], str]
"""Makes a frame, ready JSON text. Called once a second, however many pages get the frame."""


class Topic(NamedTuple):
    """What a page looks at: of whom, and as what."""

    subject: int
    form: Form


@dataclass(eq=False)
class Viewer:
    """One open page."""

    topic: Topic
    send: Send
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)


class LiveSampler:
    """Measures what is looked at. Its thread begins with the first viewer and ends after the
    last one."""

    def __init__(self, period: float = SECOND) -> None:
        self._period = period
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._viewers: dict[Topic, set[Viewer]] = {}
        self._frames: dict[Topic, str] = {}
        self._thread: threading.Thread | None = None

    @property
    def thread(self) -> threading.Thread | None:
        """None while nobody looks."""
        return self._thread

    def join(self, viewer: Viewer) -> None:
        """Send the viewer each new frame, and the last one at once."""
        with self._lock:
            self._viewers.setdefault(viewer.topic, set()).add(viewer)
            frame = self._frames.get(viewer.topic)
            if self._thread is None:
                self._left.clear()
                self._thread = threading.Thread(target=self._run, name="live-metrics", daemon=True)
                self._thread.start()
        if frame is not None:
            _hand_over([viewer], frame)

    def leave(self, viewer: Viewer) -> None:
        """No more frames. Leaving twice, or without having joined, is fine."""
        with self._lock:
            viewers = self._viewers.get(viewer.topic, set())
            viewers.discard(viewer)
            if not viewers:
                self._viewers.pop(viewer.topic, None)
                self._frames.pop(viewer.topic, None)
            if not self._viewers:
                self._left.set()

    def _run(self) -> None:
        # Ends by itself when nobody looks any more, and only then: a page may come at any moment.
        keep_up(self._measure, what="Live metrics", stopping=threading.Event(), most=PAUSE_MOST)

    def _measure(self) -> None:
        watch = _Watch(Meter(self._period / 4))
        due = time.monotonic()
        while (topics := self._topics_or_end()) is not None:
            try:
                snapshots = watch.look({topic.subject for topic in topics})
                self._publish(topics, snapshots)
            except DatabaseError as error:
                logger.warning("Live metrics: %s", error)
                connection.close()
            # From moment to moment, not from the end of the work: rounds do not drift. After
            # a slow one the next is not so near that its rates would be noise.
            due = max(due + self._period, time.monotonic() + self._period / 2)
            self._left.wait(due - time.monotonic())

    def _topics_or_end(self) -> list[Topic] | None:
        """What is looked at; None, once and for this thread, when nobody looks any more."""
        with self._lock:
            if not self._viewers:
                self._thread = None
                return None
            self._left.clear()
            return list(self._viewers)

    def _publish(self, topics: Iterable[Topic], snapshots: Mapping[int, Snapshot]) -> None:
        for topic in topics:
            if topic.subject not in snapshots:
                continue
            try:
                frame = topic.form(snapshots[topic.subject])
            except DatabaseError:
                raise
            except Exception:
                # One card that cannot be drawn must not stop what all others look at.
                logger.exception("Drawing %s of %d", topic.form.__name__, topic.subject)
                continue
            with self._lock:
                viewers = list(self._viewers.get(topic, ()))
                if viewers:
                    self._frames[topic] = frame
            _hand_over(viewers, frame)


def _hand_over(viewers: Iterable[Viewer], frame: str) -> None:
    """One wake-up for each loop, however many viewers it has."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Send]] = {}
    for viewer in viewers:
        by_loop.setdefault(viewer.loop, []).append(viewer.send)
    for loop, sends in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver, sends, frame)
        except RuntimeError:
            # The loop is closed: Mist is stopping and its pages are gone.
            continue


_delivering: set[asyncio.Task[None]] = set()


def _deliver(sends: list[Send], frame: str) -> None:
    async def deliver() -> None:
        for send in sends:
            await send(frame)

    task = asyncio.get_running_loop().create_task(deliver())
    _delivering.add(task)  # a loop keeps no hold of its tasks
    task.add_done_callback(_delivering.discard)


class _Watch:
    """What one thread remembers from second to second."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._hours: dict[int, deque[Point | None]] = {}
        self._minute = 0

    def look(self, subjects: set[int]) -> dict[int, Snapshot]:
        """A snapshot of each subject but of those that are looked at for the first time: what
        they do shows from the second look on."""
        now = time.time()
        apps = subjects - {HOST}
        containers = live_containers(apps) if apps else {}
        points = self._meter.measure(containers, host=HOST in subjects)
        known = subjects & self._hours.keys()
        self._turn_pages(subjects, points, now)
        return {
            subject: Snapshot(subject, now, points.get(subject), list(self._hours[subject]))
            for subject in known
        }

    def _turn_pages(self, subjects: set[int], points: Mapping[int, Point], now: float) -> None:
        minute = int(now) // MINUTE
        for subject in self._hours.keys() - subjects:
            del self._hours[subject]
        for subject in subjects:
            if subject not in self._hours:
                self._hours[subject] = deque(last_hour(subject, now)[1], maxlen=MINUTES)
            elif minute != self._minute:
                self._hours[subject].append(None)
            if subject in points:
                self._hours[subject][-1] = points[subject]
        self._minute = minute


live_sampler = LiveSampler()
"""The one of this process."""


class MeterFeed:
    """Streams one topic into one page."""

    def __init__(self, topic: Topic, said: Mapping[str, str], send: Send) -> None:
        self._topic = topic
        self._send = send
        self._viewer: Viewer | None = None

    async def open(self) -> None:
        self._viewer = Viewer(self._topic, self._send)
        live_sampler.join(self._viewer)

    async def heard(self, message: Mapping[str, object]) -> None:
        """The page has nothing to say."""

    async def close(self) -> None:
        if self._viewer is not None:
            live_sampler.leave(self._viewer)
