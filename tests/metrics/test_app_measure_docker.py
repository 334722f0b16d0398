"""Files of the kernel against the engine's own statistics, and an app from burning to chart."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from django.test import Client
from docker.models.containers import Container

from apps.accounts.models import User
from apps.deployments.models import Status
from apps.engine.cgroups import CgroupReader
from apps.engine.data import EngineConfig
from apps.engine.docker import DockerContainers
from apps.engine.stats_api import ask_usage, parse_usage
from apps.engine.usage import Usage
from apps.metrics.sampling import Meter, Recorder
from tests.machine.world import World, unique_instance, wait_until

pytestmark = pytest.mark.docker
MB = 1024**2
BUSY = (
    "dd if=/dev/zero of=/dev/shm/held bs=1M count=32; "
    "dd if=/dev/zero of=/written bs=1M count=8 conv=fsync; "
    "echo ready; while :; do :; done"
)


@pytest.fixture
def client_of_engine() -> Iterator[docker.DockerClient]:
    made = docker.DockerClient(version="1.41")
    yield made
    made.close()


@pytest.fixture
def burning(client_of_engine: docker.DockerClient) -> Iterator[Container]:
    """Holds 32 MB, has written 8, and takes half a core."""
    container = client_of_engine.containers.run(
        "busybox",
        ["sh", "-c", BUSY],
        detach=True,
        name=f"mist-test-{unique_instance()}",
        nano_cpus=500_000_000,
        mem_limit="128m",
    )
    try:
        wait_until(lambda: b"ready" in container.logs(), "being busy")
        yield container
    finally:
        container.remove(force=True, v=True)


def test_it_reads_what_the_engine_tells(
    client_of_engine: docker.DockerClient, burning: Container
) -> None:
    one = str(burning.id)
    reader = CgroupReader()

    def read() -> Usage:
        return reader.read([one])[one]

    before = read()
    told = parse_usage(client_of_engine.api.stats(one, stream=False, one_shot=True))
    after = read()
    assert told is not None
    # Counters only grow, so what was told in between lies in between.
    for field in ("cpu", "received", "sent", "read", "written"):
        values = [getattr(usage, field) for usage in (before, told, after)]
        assert values == sorted(values), field
    assert before.cpu > 0
    assert abs(before.memory - told.memory) < MB and 32 * MB < told.memory < 48 * MB
    assert before.pids == told.pids


def test_it_leaves_out_what_does_not_run_whoever_is_asked(
    client_of_engine: docker.DockerClient, burning: Container, tmp_path: Path
) -> None:
    one = str(burning.id)
    engine = DockerContainers(EngineConfig(instance="test", data_dir=tmp_path))
    assert list(engine.usage([one, "f" * 64])) == [one]

    def ask(container: str) -> dict[str, object]:
        found: dict[str, object] = client_of_engine.api.stats(
            container, stream=False, one_shot=True
        )
        return found

    assert list(ask_usage([one, "f" * 64], ask)) == [one]
    burning.kill()
    burning.wait()
    assert engine.usage([one]) == ask_usage([one], ask) == {}


def test_an_apps_numbers_outlive_mist(world: World, client: Client) -> None:
    app, _ = world.app("python-web", health_path="/healthz", memory_mb=128)
    assert world.deploy(app).status == Status.LIVE
    now = int(time.time()) // 15 * 15
    for start in (now - 60, now - 15):
        recorder = Recorder(Meter(least=0.0))  # a Mist that has just started
        recorder.record(start)
        world.get(app.host)
        recorder.record(start + 15)
    client.force_login(User.objects.get())
    path = f"/projects/{world.project.slug}/apps/{app.slug}/metrics/"
    columns = json.loads(client.get(f"{path}data/").content)["columns"]
    assert columns["at"] == [now - 45, now - 30, now]
    assert columns["cpu"][1] is None, "Mist was away: a hole"
    for at in (0, 2):
        assert columns["cpu"][at] > 0 and columns["received"][at] > 0
        assert 5 * 1024 < columns["memory"][at] < 128 * 1024
    assert "CPU over the last 1 h" in client.get(path).content.decode()
