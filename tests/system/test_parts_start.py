"""Parts of a Mist: who may serve a data directory, and what they say over Redis."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from apps.deployments import tasks
from apps.engine.bench import free_ports
from apps.engine.probe import connect
from apps.system.management.base import take_lock
from mist_project.alive import watch_over
from mist_project.shared_live import SharedChannelLayer
from tests.machine.world import wait_until


def test_parts_share_a_data_directory_and_one_process_that_is_everything_does_not(
    data_dir: Path,
) -> None:
    parts = [take_lock(shared=True), take_lock(shared=True)]
    with pytest.raises(CommandError, match="docker compose down"):
        take_lock(shared=False)
    for handle in parts:
        os.close(handle)
    whole = take_lock(shared=False)
    with pytest.raises(CommandError, match="down --proxy"):
        take_lock(shared=True)
    os.close(whole)


def test_what_was_asked_is_not_undone_because_no_broker_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def delay(self) -> None:
            raise ConnectionError("no Redis")

    tasks.wake(Broken())
    assert "The broker does not answer" in caplog.text


def test_a_part_whose_thread_has_ended_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mist_project.alive.SIGN", tmp_path / "alive")
    monkeypatch.setattr("mist_project.alive.SIGN_SECONDS", 0.001)
    ended, gave_up = threading.Thread(target=lambda: None), threading.Event()
    ended.start()
    ended.join()
    watch_over([threading.main_thread(), ended], threading.Event(), gave_up.set)
    assert gave_up.is_set()


def port_answers(port: int) -> bool:
    return connect(address="127.0.0.1", port=port, timeout=1) == ""


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    [port] = free_ports(1)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: port_answers(port), "Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.docker
async def test_a_message_of_any_thread_reaches_sockets_over_redis(redis_url: str) -> None:
    layer = SharedChannelLayer(hosts=[redis_url])
    name = await layer.new_channel()
    await layer.group_add("mist.lobby", name)
    thread = threading.Thread(target=layer.publish, args=("mist.lobby", {"type": "a"}))
    thread.start()
    assert await asyncio.wait_for(layer.receive(name), 60) == {"type": "a"}
    thread.join()
    await layer.flush()
