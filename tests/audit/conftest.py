"""An audit trail to read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import ActorKind, AuditEvent


@pytest.fixture
def now() -> dt.datetime:
    return timezone.now()


@pytest.fixture
def owner(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def event(**fields: Any) -> AuditEvent:
    """One event as it may have been recorded."""
    plain = {"actor_kind": ActorKind.USER, "actor_id": 1, "actor_name": "Alice Archer"}
    return AuditEvent.objects.create(**{**plain, "action": "app.update", **fields})
