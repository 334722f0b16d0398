"""The trail is only added to, for whoever asks: the model and the database itself refuse the rest.
Old events go, and that they went is written down."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from apps.accounts.models import User
from apps.audit import retention
from apps.audit.models import ActorKind, AuditEvent, OnlyAdded
from apps.audit.retention import events_forget
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine
from apps.storage.cleaning import clean_waiting
from apps.storage.models import CleanUp
from apps.storage.services import cleanup_request
from tests.audit.conftest import event

TABLE = "audit_auditevent"
CHANGES = (
    f"UPDATE {TABLE} SET actor_name = 'Mallory'",
    f"UPDATE {TABLE} SET at = '2001-01-01 00:00:00'",
    f"DELETE FROM {TABLE}",
    f"INSERT OR REPLACE INTO {TABLE} SELECT * FROM {TABLE}",
    f"REPLACE INTO {TABLE} SELECT * FROM {TABLE}",
)
LINES = [sql for sql in CHANGES if connection.vendor == "sqlite" or "REPLACE" not in sql]


@contextlib.contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(DatabaseError, match="only added to"), transaction.atomic():
        yield


@pytest.mark.parametrize("sql", LINES)
def test_the_database_refuses_to_change_or_lose_an_event(db: None, sql: str) -> None:
    kept = event(thing_name="shop/web")
    with refused(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert AuditEvent.objects.get() == kept
    assert AuditEvent.objects.get().actor_name == "Alice Archer"


def test_the_model_refuses_as_well(db: None) -> None:
    kept = event()
    kept.actor_name = "Mallory"
    with pytest.raises(OnlyAdded):
        kept.save()
    with pytest.raises(OnlyAdded):
        kept.delete()
    with pytest.raises(OnlyAdded):
        AuditEvent.objects.update(actor_name="Mallory")
    with pytest.raises(OnlyAdded):
        AuditEvent.objects.filter(pk=kept.pk).delete()
    with pytest.raises(OnlyAdded):
        AuditEvent.objects.bulk_update([kept], ["actor_name"])
    # A second one of the same number is refused by its key, and no update in disguise.
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEvent(pk=kept.pk, actor_kind="user", actor_name="Mallory", action="x.y").save()
    assert AuditEvent.objects.get().actor_name == "Alice Archer"


def test_events_older_than_the_setting_are_forgotten(
    db: None, settings: Settings, now: dt.datetime
) -> None:
    settings.MIST_AUDIT_DAYS = 30
    for days in (400, 31, 29):
        event(at=now - dt.timedelta(days=days), thing_name=f"{days} days old")
    assert events_forget() == 2
    told, kept = AuditEvent.objects.all()
    assert kept.thing_name == "29 days old"
    assert (told.action, told.actor_kind) == ("audit.forget", ActorKind.SYSTEM)
    assert told.after == {"events": 2, "older than (days)": 30}
    assert events_forget() == 0
    assert AuditEvent.objects.count() == 2


def test_each_batch_tells_of_itself(db: None, settings: Settings, now: dt.datetime) -> None:
    settings.MIST_AUDIT_DAYS = 1
    for _ in range(5):
        event(at=now - dt.timedelta(days=2))
    assert events_forget(batch=2) == 5
    told = AuditEvent.objects.filter(action="audit.forget").order_by("id")
    assert [one.after["events"] for one in told] == [2, 2, 1]


def test_nothing_is_forgotten_where_the_setting_is_0(
    db: None, settings: Settings, now: dt.datetime
) -> None:
    settings.MIST_AUDIT_DAYS = 0
    event(at=now - dt.timedelta(days=10_000))
    assert events_forget() == 0
    assert AuditEvent.objects.exists()


def test_even_the_retention_cannot_delete_a_young_event(db: None, now: dt.datetime) -> None:
    young = event(at=now)
    yesterday = now - dt.timedelta(days=1)
    with refused(), retention._may_forget(yesterday), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE id = %s", [young.pk])


def test_deleting_is_closed_again_behind_the_retention(
    db: None, settings: Settings, now: dt.datetime
) -> None:
    settings.MIST_AUDIT_DAYS = 30
    event(at=now - dt.timedelta(days=40))
    events_forget()
    event(at=now - dt.timedelta(days=40))
    with refused(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")


def test_a_clean_up_forgets_old_events(
    fake: FakeEngine, alice: User, settings: Settings, now: dt.datetime
) -> None:
    settings.MIST_AUDIT_DAYS = 30
    event(at=now - dt.timedelta(days=40), thing_name="old")
    cleanup_request(requested_by=alice)
    clean_waiting()
    assert CleanUp.objects.get().status == CleanUp.Status.DONE
    assert not AuditEvent.objects.filter(thing_name="old").exists()
    assert [one.action for one in AuditEvent.objects.order_by("id")] == [
        "clean_up.request", "audit.forget", "clean_up.finish",
    ]  # fmt: skip


def test_a_clean_up_forgets_them_though_the_engine_is_away(
    fake: FakeEngine, alice: User, settings: Settings, now: dt.datetime
) -> None:
    settings.MIST_AUDIT_DAYS = 30
    event(at=now - dt.timedelta(days=40), thing_name="old")
    fake.containers.fail("disk", EngineUnavailable("The engine does not answer."), times=2)
    cleanup_request(requested_by=alice)
    clean_waiting()
    assert CleanUp.objects.get().status == CleanUp.Status.FAILED
    assert not AuditEvent.objects.filter(thing_name="old").exists()
