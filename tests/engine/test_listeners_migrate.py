"""The machine's setting by which connections move on is changed for a moment, and put back."""

from __future__ import annotations

import threading

import pytest

from apps.engine.listeners import MIGRATE, can_migrate, migrating
from tests.machine.needed import needs

pytestmark = needs(can_migrate(), "root, and Linux 5.14")


@pytest.fixture(autouse=True)
def before() -> str:
    return MIGRATE.read_text()


def test_it_is_put_back(before: str) -> None:
    with pytest.raises(ZeroDivisionError), migrating():
        assert MIGRATE.read_text().strip() == "1"
        raise ZeroDivisionError
    assert MIGRATE.read_text() == before


def test_one_mist_does_not_put_it_back_while_another_needs_it(before: str) -> None:
    seen: list[str] = []

    def another() -> None:
        with migrating():
            entered.set()
            left.wait(10)
            seen.append(MIGRATE.read_text().strip())

    entered, left = threading.Event(), threading.Event()
    thread = threading.Thread(target=another)
    with migrating():
        thread.start()
        entered.wait(0.2)  # It may not come in yet.
    left.set()
    thread.join(10)
    assert seen == ["1"] and MIGRATE.read_text() == before
