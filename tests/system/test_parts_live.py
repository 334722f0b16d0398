"""Mist in parts: web, worker, beat and watcher as processes that talk over a real Redis."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from apps.engine.bench import free_ports
from tests.machine.live import ROOT, LiveMist, live_mist
from tests.machine.world import wait_until

pytestmark = pytest.mark.docker


@contextmanager
def running(argv: list[str], env: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def mist(tmp_path: Path) -> Iterator[LiveMist]:
    [port] = free_ports(1)
    server = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    with ExitStack() as stack:
        stack.enter_context(running(server, {"PATH": "/usr/bin"}, tmp_path / "redis.log"))
        client = redis.Redis(port=port)
        wait_until(lambda: _answers(client), "an answer of Redis")
        client.close()
        url = f"redis://127.0.0.1:{port}/0"
        mist = stack.enter_context(live_mist(tmp_path / "data", REDIS_URL=url))
        mist.run("up", "--prepare")
        for role in ("web", "worker", "worker", "beat", "watcher"):
            argv = [sys.executable, str(ROOT / "manage.py"), "serve", role]
            stack.enter_context(running(argv, mist.env, tmp_path / f"{role}.log"))
        yield mist


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_parts_over_redis_deploy_and_notice_what_happens(mist: LiveMist, tmp_path: Path) -> None:
    wait_until(
        lambda: "Mist is running" in (tmp_path / "web.log").read_text(), "the web part's start", 180
    )
    mist.run("project_create", "shop")
    repository = f"{mist.url}/samples/hello.git"
    mist.run("app_create", "shop/web", "--repo", repository, "--health-path", "/healthz")
    for _ in range(2):
        facts = json.loads(mist.run("deploy", "shop/web", "--wait", "--json"))
        assert facts["status"] == "live", facts
    assert mist.visit("web-shop.localhost")[0] == 200
    mist.run("app_delete", "shop/web", "--yes")
    assert mist.apps() == []
    for log in tmp_path.glob("*.log"):
        assert "Traceback" not in log.read_text(), log.name
