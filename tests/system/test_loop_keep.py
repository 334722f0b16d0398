"""Loops that go on whatever happens in them."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.engine.fake import FakeEngine
from apps.metrics.models import Samples
from apps.system import loops
from apps.system.loops import keep_up, keeps_failing, troubles
from apps.system.management.commands.doctor import check_loops
from mist_project.alive import watch_over
from mist_project.processes import Role, begin_work
from tests.machine.world import wait_until

FULL = OSError(28, "No space left on device")
WHAT = "Counting sheep"


@pytest.fixture(autouse=True)
def _nothing_failed_yet() -> Iterator[None]:
    yield
    loops._failing.clear()


def run(work: list[Exception | None], *, stopping: threading.Event | None = None) -> int:
    """Do a work that ends like these, one after the other; how often it was begun."""
    begun = []

    def once() -> None:
        begun.append(1)
        if (error := work[len(begun) - 1]) is not None:
            raise error

    stopping = stopping or threading.Event()
    keep = functools.partial(keep_up, once, what=WHAT, stopping=stopping, least=0.001, most=0.01)
    thread = threading.Thread(target=keep)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return len(begun)


def test_what_fails_is_logged_with_its_place_and_begins_again(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    error = KeyError("web")
    assert run([FULL, error, None]) == 3
    failed = [record for record in caplog.records if record.exc_info]
    assert [record.exc_info[1] for record in failed if record.exc_info] == [FULL, error]
    assert all(WHAT in record.message for record in failed)


def test_it_ends_when_mist_stops(data_dir: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    assert run([FULL], stopping=stopping) == 0


def test_the_doctor_and_the_status_say_what_failed_lately(data_dir: Path, db: None) -> None:
    assert check_loops().ok and troubles() == []
    run([FULL, None])
    [trouble] = troubles()
    assert (trouble.what, trouble.problem) == (WHAT, "OSError: [Errno 28] No space left on device")
    check = check_loops()
    assert check.needed and not check.ok
    assert check.says.startswith(WHAT) and "No space left" in check.says
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("status", "--json", stdout=out)
    assert json.loads(out.getvalue())["troubles"][0].startswith(f"{WHAT} failed ")


def test_what_failed_some_time_ago_and_goes_on_since_is_no_trouble(data_dir: Path) -> None:
    run([FULL, None])
    [path] = (data_dir / "troubles").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    before = time.time() - loops.LATELY - 1
    os.utime(path, (before, before))
    assert check_loops().ok


def test_it_goes_on_where_not_even_the_failure_can_be_written_down(data_dir: Path) -> None:
    (data_dir / "troubles").write_text("no folder")
    assert run([FULL, None]) == 2
    assert troubles() == []


def test_a_part_in_which_something_keeps_failing_shows_no_sign_of_life(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tmp_path / "alive"
    monkeypatch.setattr("mist_project.alive.SIGN", sign)
    monkeypatch.setattr("mist_project.alive.SIGN_SECONDS", 0.001)

    stopping = threading.Event()
    watching = threading.Thread(target=watch_over, args=([], stopping, list))
    watching.start()

    def shows_life() -> bool:
        os.utime(sign, (1, 1))
        time.sleep(0.1)
        return sign.stat().st_mtime > 1

    try:
        wait_until(sign.exists, "a sign")
        run([FULL, FULL, None])
        assert not keeps_failing(), "once or twice may happen"
        wait_until(shows_life, "a sign of life")
        run([FULL] * loops.IN_A_ROW + [None])
        assert keeps_failing()
        time.sleep(0.05)  # a touch may be under way
        assert not shows_life()
    finally:
        stopping.set()
        watching.join(30)


@pytest.mark.django_db(transaction=True)
def test_traefik_the_engine_and_the_metrics_are_looked_after_when_that_failed(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With errors that nobody has thought of."""
    monkeypatch.setattr("mist_project.processes.PROXY_SECONDS", 0.01)
    monkeypatch.setattr("apps.metrics.sampling.STEP", 1)
    fake.proxy.fail("ensure_running", FULL)
    fake.containers.fail("events", FULL)
    fake.containers.fail("usage", FULL)
    stopping = threading.Event()
    threads = begin_work(Role.WATCHER, stopping)
    try:
        wait_until(fake.proxy.running, "Traefik")
        wait_until(lambda: [s for s, _ in fake.containers.calls].count("events") > 1, "events")
        wait_until(Samples.objects.exists, "samples")
    finally:
        stopping.set()
        for thread in threads:
            thread.join(30)
