"""Forgetting events that are old: the one way in which the audit trail ever loses any.

The database itself refuses to delete events (migration 0002) unless the transaction has named the
moment before which they may go. Nothing but this module names one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.audit.trail import record

BATCH = 5000
"""Events that one transaction forgets: writers wait for as long as it takes."""


def events_forget(*, batch: int = BATCH) -> int:
    """Delete events older than MIST_AUDIT_DAYS, and record that in the same transaction. Returns
    how many. Nothing goes while the setting is 0."""
    days = settings.MIST_AUDIT_DAYS
    if days <= 0:
        return 0
    limit = timezone.now() - dt.timedelta(days=days)
    total = 0
    while AuditEvent.objects.filter(at__lt=limit).exists():
        with transaction.atomic():
            gone = _forget(limit, batch)
            if gone:
                after = {"events": gone, "older than (days)": days}
                record("audit.forget", name="the audit trail", after=after)
        total += gone
        if not gone:
            break  # somebody else was quicker
    return total


def _forget(limit: dt.datetime, batch: int) -> int:
    table = connection.ops.quote_name(AuditEvent._meta.db_table)
    oldest = f"SELECT id FROM {table} WHERE at < %s ORDER BY at, id LIMIT %s"  # noqa: S608 - our own name
    with _may_forget(limit), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE id IN ({oldest})", [_moment(limit), batch])  # noqa: S608
        return int(cursor.rowcount)


@contextlib.contextmanager
def _may_forget(limit: dt.datetime) -> Iterator[None]:
    """Inside, this transaction may delete events older than the limit."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("UPDATE audit_retention SET older_than = %s", [_moment(limit)])
            yield
            cursor.execute("UPDATE audit_retention SET older_than = NULL")
        else:
            allow = "SELECT set_config('mist.audit_retention', %s, true)"
            cursor.execute(allow, [limit.isoformat()])
            yield
            cursor.execute(allow, [""])


def _moment(value: dt.datetime) -> str | dt.datetime | None:
    """As the column holds it: on SQLite text, which sorts as time does."""
    adapted: str | dt.datetime | None = connection.ops.adapt_datetimefield_value(value)
    return adapted
