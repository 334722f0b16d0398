"""An export of the audit trail: what it holds, that no cell is a formula, and its own event."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.audit import selectors
from apps.audit.models import AuditEvent
from tests.audit.conftest import event


def exported(client: Client, file_format: str, query: str = "") -> str:
    answer = client.post(f"/audit/export/{query}", {"format": file_format})
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    return answer.getvalue().decode()


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])
def test_a_cell_of_the_csv_is_no_formula(owner: Client, first: str) -> None:
    event(thing_name=f'{first}HYPERLINK("http://x/")', agent=f"{first}1")
    [head, row] = list(csv.reader(io.StringIO(exported(owner, "csv"), newline="")))
    cells: dict[str, str] = dict(zip(head, row, strict=True))
    assert cells["thing_name"] == f'\'{first}HYPERLINK("http://x/")'
    assert cells["agent"] == f"'{first}1"
    assert cells["actor_name"] == "Alice Archer"


def test_an_export_holds_what_is_filtered_in_order(
    owner: Client, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "CHUNK", 4)
    for number in range(11):
        at = now - dt.timedelta(seconds=number // 3)
        event(at=at, action="app.stop", thing_name=f"n{number}", before={"a": 1}, after={"a": None})
        event(at=at, action="app.start", thing_name="another")
    rows: list[dict[str, Any]] = json.loads(exported(owner, "json", "?action=app.stop"))
    kept = AuditEvent.objects.filter(action="app.stop")
    assert [row["id"] for row in rows] == [one.pk for one in kept]
    assert (rows[0]["before"], rows[0]["after"]) == ({"a": 1}, {"a": None})
    assert rows[0]["at"] == kept[0].at.isoformat()
    lines = list(csv.DictReader(io.StringIO(exported(owner, "csv", "?action=app.stop"))))
    assert [int(line["id"]) for line in lines] == [one.pk for one in kept]
    assert json.loads(lines[0]["before"]) == {"a": 1}


def test_an_empty_export_is_a_file_as_well(owner: Client) -> None:
    assert json.loads(exported(owner, "json", "?actor=5")) == []
    assert exported(owner, "csv", "?actor=5").count("\n") == 1


def test_an_export_is_recorded_with_its_filters_and_not_in_itself(owner: Client) -> None:
    event(thing_name="shop/web")
    assert "audit.export" not in exported(owner, "json", "?q=shop")
    told = AuditEvent.objects.get(action="audit.export")
    assert told.after == {"format": "json", "q": "shop"}
    assert told.actor_name == "Alice Archer"


@pytest.mark.parametrize(("query", "sent"), [("", "xml"), ("", ""), ("?actor=x", "csv")])
def test_an_export_that_cannot_be_is_refused_and_leaves_nothing(
    owner: Client, query: str, sent: str
) -> None:
    assert owner.post(f"/audit/export/{query}", {"format": sent}).status_code == 400
    assert not AuditEvent.objects.exists()


def test_an_export_holds_a_chunk_in_memory(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for more only when what it has is sent."""
    monkeypatch.setattr(selectors, "CHUNK", 5)
    monkeypatch.setattr("apps.audit.services.BLOCK", 1)
    for number in range(20):
        event(thing_name=f"n{number}")
    answer = owner.post("/audit/export/", {"format": "json"})
    blocks = iter(answer)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            next(blocks)
    assert len(queries) == 1
