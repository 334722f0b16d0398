"""One of a thing in a process, however many threads ask for it first."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.engine.connect import get_engine
from apps.engine.once import once


def test_threads_that_ask_at_the_same_time_get_the_same() -> None:
    together = threading.Barrier(4)

    @once
    def make(name: str) -> object:
        time.sleep(0.05)  # The others ask in the meantime.
        return object()

    def ask(name: str) -> object:
        together.wait()
        return make(name)

    with ThreadPoolExecutor(4) as threads:
        one, other, *rest = threads.map(ask, ["a", "b", "a", "b"])
    assert rest == [one, other] and one is not other
    make.cache_clear()
    assert make("a") is not one


def test_what_failed_is_made_by_the_next_who_asks() -> None:
    tries = iter([ValueError("not yet"), None])

    @once
    def make() -> str:
        if error := next(tries):
            raise error
        return "made"

    with pytest.raises(ValueError, match="not yet"):
        make()
    assert make() == make() == "made"


def test_a_process_has_one_engine() -> None:
    get_engine.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        assert len({id(one) for one in threads.map(lambda _: get_engine(), range(8))}) == 1
