"""What a million audit events cost, for `./mist bench`."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.models import ActorKind, AuditEvent
from apps.audit.planning import ACTIONS, csv_lines
from apps.audit.selectors import Cursor, Filters, events_from, events_page
from apps.audit.trail import record
from apps.engine.bench import resident_mb

EVENTS = 1_000_000
HALF_MINUTE = dt.timedelta(seconds=30)
RARE = 499_999
"""The one event of a person, project, action and thing that nobody else has."""
FILTERS = {
    "all": Filters(),
    "project": Filters(project_id=7),
    "actor": Filters(actor_id=11),
    "kind": Filters(actor_kind="system"),
    "action": Filters(action="variable.reveal"),
    "thing": Filters(thing_type="app", thing_id=77),
    "time": Filters(until=timezone.now() - 300_000 * HALF_MINUTE),
    "rare actor": Filters(actor_id=9999),
    "nobody": Filters(actor_id=8888),
    "project and actor": Filters(project_id=7, actor_id=11),
    "project, actor, action": Filters(project_id=7, actor_id=11, action="variable.reveal"),
    "kind and rare project": Filters(actor_kind="user", project_id=9999),
    "words, found": Filters(words=("app-07",)),
    "words, nowhere": Filters(words=("zebra",)),
    "words, nowhere in a project": Filters(words=("zebra",), project_id=7),
}  # fmt: skip


def measure_audit(events: int = EVENTS) -> dict[str, object]:
    """Milliseconds of the first page and of one in the middle of each filter, of an export's
    thousand events, and of one event more."""
    before = _database_mb()
    began = time.perf_counter()
    _fill(events)
    filled = time.perf_counter() - began
    middle = Cursor(timezone.now() - events // 2 * HALF_MINUTE, 0)
    pages = {
        name: [_ms(partial(events_page, filters, place)) for place in (None, middle)]
        for name, filters in FILTERS.items()
    }
    held = resident_mb(os.getpid())
    began = time.perf_counter()
    lines = csv_lines(events_from(Filters(), Cursor(timezone.now(), 0)))
    exported = sum(1 for _ in itertools.islice(lines, 100_000))
    seconds = time.perf_counter() - began
    return {
        "events": events,
        "fill_s": round(filled),
        "database_mb": round(_database_mb() - before),
        "page_ms_first_and_middle": pages,
        "export_events_per_s": round(exported / seconds),
        "export_grows_mb": round(resident_mb(os.getpid()) - held, 1),
        "record_ms": _ms(lambda: record("app.update", name="shop/web", after={"branch": "main"})),
    }


def _fill(events: int) -> None:
    fresh = _events(events)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size = -400000")  # of this filling alone
    while batch := list(itertools.islice(fresh, 5_000)):
        with transaction.atomic():
            AuditEvent.objects.bulk_create(batch)
    connection.close()


def _events(count: int) -> Iterator[AuditEvent]:
    """The oldest first, two a minute, by 40 people in 50 projects with 1,000 apps."""
    now, actions = timezone.now(), list(ACTIONS)
    for n in range(count):
        app = (n * 7919) % 1_000
        person = 9999 if n == RARE else n * 31 % 40
        project = 9999 if n == RARE else app % 50
        yield AuditEvent(
            at=now - (count - n) * HALF_MINUTE,
            actor_kind=ActorKind.SYSTEM if n % 5 == 0 else ActorKind.USER,
            actor_id=None if n % 5 == 0 else person,
            actor_name="Mist" if n % 5 == 0 else f"Person {person}",
            action=actions[n * 13 % len(actions)],
            thing_type="app",
            thing_id=app,
            thing_name=f"project-{project:02}/app-{app % 20:02}",
            project_id=project,
            project_name=f"project-{project:02}",
            before={"branch": "main", "memory_mb": 512},
            after={"branch": "next", "memory_mb": 1024},
            address="192.0.2.7",
            agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            request_id=f"{n:036}",
        )


def _ms(work: Callable[[], object]) -> float:
    """The median of five."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(sorted(times)[2] * 1000, 1)


def _database_mb() -> float:
    if connection.vendor != "sqlite":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(settings.MIST_DATA_DIR, "mist.db").stat().st_size / 1024**2
