"""Carrying out a clean-up. Two never run at once, whatever process they are in."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.retention import events_forget
from apps.audit.trail import record
from apps.deployments.events import publish
from apps.deployments.retention import drop_version
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.engine.locks import try_file_lock
from apps.storage.inventory import plan_now, size_of, take_inventory
from apps.storage.models import CleanUp, Survey
from apps.storage.planning import Inventory, Kind, Plan, Removal
from apps.storage.report import counted, report
from apps.storage.selectors import cleanup_is_due, last_survey, unfinished_cleanup

logger = logging.getLogger("mist.storage")
GROUP = "mist.storage"
"""Pages about the disk listen here."""
TELL_SECONDS = 0.5
FRESH = dt.timedelta(seconds=10)
"""A look at the disk that is younger is not repeated, however many pages ask."""
HISTORY = 50
"""Clean-ups that are remembered."""


@contextmanager
def cleaning_lock() -> Iterator[bool]:
    """Whether nobody else cleans up; then nobody can until the end."""
    with try_file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "cleanup") as held:
        yield held


def clean_waiting() -> None:
    """Carry out the clean-ups that wait, unless somebody is at it already: then that one does."""
    with cleaning_lock() as held:
        if not held:
            return
        # Whoever was at work without the lock is dead.
        dead = CleanUp.objects.filter(status=CleanUp.Status.RUNNING)
        if dead.exists():
            dead.update(
                status=CleanUp.Status.FAILED,
                finished_at=timezone.now(),
                problem="Mist ended while it cleaned up. What was left goes with the next one.",
            )
        while (found := unfinished_cleanup()) is not None:
            clean(found)


def tidy() -> None:
    """Begin the clean-up that the schedule asks for, and take up one whose message was lost or
    whose process died."""
    if unfinished_cleanup() is None:
        if not cleanup_is_due():
            return
        cleanup_create(trigger=CleanUp.Trigger.SCHEDULE)
    clean_waiting()


def cleanup_create(
    *,
    trigger: CleanUp.Trigger,
    requested_by: User | None = None,
    status: CleanUp.Status = CleanUp.Status.WAITING,
) -> CleanUp:
    with transaction.atomic():
        row = CleanUp.objects.create(trigger=trigger, requested_by=requested_by, status=status)
        record("clean_up.request", row, after={"how": trigger.label})
    return row


def clean(row: CleanUp) -> None:
    """Carry it out; the row tells how it went. The caller holds the lock.

    A database that takes nothing stops it only where a row has to change: it may be the disk that
    is full. Raises `DatabaseError` where the end cannot be written down."""
    row.status = CleanUp.Status.RUNNING
    _tell_of(row, "status")
    try:
        _forget_events()
        found = take_inventory()
        _carry_out(row, plan_now(found), found)
        row.status = CleanUp.Status.DONE
    except EngineError as error:
        row.status, row.problem = CleanUp.Status.FAILED, f"{error.sentence} {error.hint}".strip()
    except Exception as error:
        logger.exception("Clean-up %s failed inside Mist", row.pk)
        row.status = CleanUp.Status.FAILED
        row.problem = f"Mist itself failed ({type(error).__name__}). Its log holds the details."
    row.finished_at = timezone.now()
    with transaction.atomic():
        row.save()
        what = counted(row.removed) or "nothing"
        record("clean_up.finish", row, after={"removed": what, "freed (bytes)": row.freed})
    newest = CleanUp.objects.values_list("pk", flat=True)[:HISTORY]
    CleanUp.objects.exclude(pk__in=list(newest)).delete()
    logger.info("%s %s: %s removed, %d bytes freed", row, row.status, what, row.freed)
    survey()


def survey_unless_fresh() -> None:
    """Look at the disk, unless somebody is at it, or just was."""
    with try_file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "survey") as held:
        seen = last_survey()
        fresh = timezone.now() - FRESH
        if held and (seen is None or seen.taken_at < fresh):
            survey()


def survey() -> None:
    """Look at the disk and keep what is seen for the pages."""
    try:
        found = take_inventory()
        fields = {"data": report(found, plan_now(found)), "problem": ""}
    except EngineError as error:
        fields = {"problem": f"{error.sentence} {error.hint}".strip()[:500]}
    Survey.objects.update_or_create(pk=Survey.ONLY, defaults={"taken_at": timezone.now(), **fields})
    tell()


def tell() -> None:
    """Pages about the disk show something else now."""
    publish(GROUP, {"type": "mist.changed"})


# ------------------------------------------------------------------------------------------ parts


def _forget_events() -> None:
    try:
        events_forget()
    except DatabaseError as error:
        logger.warning("Old events are left to the next clean-up: %s", error)


def _carry_out(row: CleanUp, plan: Plan, found: Inventory) -> None:
    row.total = len(plan.removals) + plan.prunes_cache
    removed: Counter[str] = Counter()
    problems: list[str] = []
    files, told = 0, 0.0
    # What needs no row first: on a full disk it makes the room for those.
    for removal in sorted(plan.removals, key=lambda one: one.version is not None):
        try:
            if _remove(removal):
                removed[removal.kind] += 1
                files += removal.size if removal.kind in _FOLDERS else 0
        except (EngineError, OSError, DatabaseError) as error:
            problems.append(f"{removal.name}: {_words(error)}")
        row.done += 1
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            _tell_of(row, "done", "total")
    cache = _prune_cache(plan, problems)
    row.removed, row.problem = (
        {str(kind): count for kind, count in removed.items()},
        "\n".join(problems),
    )
    row.freed = files
    if cache or removed[Kind.IMAGE]:
        row.freed += _engine_freed(plan, found, cache)


def _tell_of(row: CleanUp, *fields: str) -> None:
    """Show how far it is, if that can be written down."""
    try:
        if row.pk is not None:
            row.save(update_fields=fields)
    except DatabaseError as error:
        logger.warning("%s goes on unseen: %s", row, error)
    tell()


_FOLDERS = (Kind.CHECKOUT, Kind.MIRROR, Kind.LOG)


def _remove(removal: Removal) -> bool:
    """Whether it is gone; False for what is needed again. Raises `EngineError`, `OSError`."""
    containers = get_engine().containers
    if removal.version is not None:
        return drop_version(removal.version)
    if removal.kind is Kind.IMAGE:
        containers.remove_image(removal.name)
    elif removal.kind is Kind.NETWORK:
        containers.remove_network(removal.name)
    else:
        path = Path(settings.MIST_DATA_DIR) / removal.name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return size_of(path) == 0
    return True


def _prune_cache(plan: Plan, problems: list[str]) -> int:
    if not plan.prunes_cache:
        return 0
    try:
        return get_engine().containers.prune_cache(keep=plan.cache_budget)
    except EngineError as error:
        problems.append(f"build cache: {_words(error)}")
        return 0


def _engine_freed(plan: Plan, found: Inventory, cache: int) -> int:
    """Bytes: the difference in what the engine keeps. A build that ended meanwhile has added to it,
    so what pruning the cache alone freed is the least."""
    try:
        after = get_engine().containers.disk()
    except EngineError as error:
        logger.warning("What the clean-up freed cannot be measured: %s", error)
        return cache
    return max(cache, min(found.disk.total - after.total, plan.most))


def _words(error: EngineError | OSError | DatabaseError) -> str:
    if isinstance(error, EngineError):
        return error.sentence
    if isinstance(error, DatabaseError):
        return f"the database failed: {error}"
    return error.strerror or type(error).__name__
