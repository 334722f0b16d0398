"""The id of a request: on its answer, in the log, on the page of an error, and nobody else's."""

from __future__ import annotations

import io
import logging
import logging.config
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apps.accounts.models import User
from apps.audit.logs import RequestIdFilter, request_id
from apps.audit.models import AuditEvent
from apps.projects.models import Project


def test_an_id_from_outside_is_not_taken(client: Client, alice: User) -> None:
    client.force_login(alice)
    theirs = str(uuid.uuid4())
    answer = client.post("/new-project/", {"slug": "depot"}, headers={"X-Request-ID": theirs})
    event = AuditEvent.objects.get(action="project.create")
    assert event.request_id == answer["X-Request-ID"] != theirs
    assert str(uuid.UUID(event.request_id)) == event.request_id


def test_each_request_has_its_own(client: Client, db: None) -> None:
    ids = {client.get("/login/")["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3
    assert request_id() == ""


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What Mist's own handler writes, with its own formatter and filters."""
    config: Any = settings.LOGGING
    handler = logging.StreamHandler(text := io.StringIO())
    found = config["formatters"][config["handlers"]["console"]["formatter"]]
    handler.setFormatter(logging.Formatter(found["format"], style=found["style"]))
    assert config["handlers"]["console"]["filters"] == ["request_id", "hook_secrets"]
    assert config["filters"]["request_id"] == {"()": "apps.audit.logs.RequestIdFilter"}
    handler.addFilter(RequestIdFilter())
    logging.getLogger().addHandler(handler)
    yield text
    logging.getLogger().removeHandler(handler)


def test_an_error_names_the_request_in_the_log_and_on_its_page(
    alice: User, shop: Project, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    monkeypatch.setattr(Project, "__str__", lambda self: 1 / 0)
    answer = client.get("/projects/shop/audit/")
    assert answer.status_code == 500
    identity = answer["X-Request-ID"]
    assert identity in answer.content.decode()
    assert f"django.request [{identity}]: Internal Server Error" in written.getvalue()


def test_a_line_outside_a_request_has_none(written: io.StringIO) -> None:
    logging.getLogger("mist.test").warning("Nobody asked")
    assert "WARNING mist.test: Nobody asked" in written.getvalue()
