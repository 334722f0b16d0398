"""An audit trail to read."""

from __future__ import annotations

import datetime as dt
import re
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


def shown(client: Client, path: str, **asked: str) -> list[str]:
    """The events of a page, as one reads them."""
    answer = client.get(path, asked)
    assert answer.status_code == 200, answer.content.decode()[:500]
    rows = re.findall(r"<summary[^>]*items-start.*?</summary>", answer.content.decode(), re.DOTALL)
    bare = [re.sub(r"<time.*", "", row, flags=re.DOTALL) for row in rows]
    return [" ".join(re.sub(r"<[^>]+>", "", row).split()) for row in bare]
