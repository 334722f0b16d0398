from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client


@pytest.fixture
def broken_database(db: None) -> Iterator[None]:
    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> None:
        raise OperationalError("unable to open database file")

    with connection.execute_wrapper(refuse):
        yield


def test_it_says_ok_to_anyone_while_the_database_answers(client: Client, db: None) -> None:
    answer = client.get("/healthz/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_says_503_when_the_database_does_not(client: Client, broken_database: None) -> None:
    answer = client.get("/healthz/")
    assert answer.status_code == 503
    assert "unable" not in answer.content.decode()
