"""Releases with a gap on the real engine, of an app that cannot run twice: it locks its volume."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import docker
import pytest
from pytest_django import Settings

from apps.deployments import reconciliation
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_delete
from apps.engine.bench import free_ports
from apps.projects.models import App
from apps.projects.services import app_create, app_update, host_port_add, volume_add
from tests.engine.git_host import Origin
from tests.machine.world import World, steady_visitors, sweep, wait_until

pytestmark = pytest.mark.docker
DOCKERFILE = """FROM python:3.11-slim
COPY . /app
EXPOSE 8080
CMD ["python", "/app/ledger.py"]
"""
LEDGER = """import fcntl, http.server, pathlib, sys
lock = open("/data/lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit("The ledger is locked by another process.")
history = pathlib.Path("/data/history")
version = pathlib.Path("/app/VERSION").read_text()
history.write_text((history.read_text() if history.exists() else "") + version)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (history.read_text() if self.path == "/history" else version).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture
def ledger(world: World) -> Iterator[tuple[App, Origin]]:
    """An app that writes its versions into its volume, and ends at once where that is locked."""
    origin = world.git.create("samples/ledger")
    origin.commit(
        {"Dockerfile": DOCKERFILE, "ledger.py": LEDGER, "VERSION": "1\n"}, "First version"
    )
    app = app_create(
        project=world.project, slug="ledger", repository=origin.url, created_by=None, port=8080
    )
    volume_add(app=app, name="data", path="/data", created_by=None)
    try:
        yield app, origin
    finally:
        sweep(world.instance)
        for name in volumes(world):
            client = docker.from_env()
            client.volumes.get(name).remove(force=True)
            client.close()


def volumes(world: World) -> list[str]:
    client = docker.from_env()
    try:
        found = client.volumes.list(filters={"label": f"mist.instance={world.instance}"})
        return [str(volume.name) for volume in found]
    finally:
        client.close()


def log(deployment: Deployment) -> str:
    return "".join(plain_text(log_path(deployment.pk)))


def test_data_outlives_deployments_rollbacks_and_the_app(
    world: World, ledger: tuple[App, Origin]
) -> None:
    app, origin = ledger
    first = world.deploy(app)
    assert (first.status, first.failure) == (Status.LIVE, "")
    origin.commit({"VERSION": "2\n"}, "Second version")
    with steady_visitors(world, app.host, kept=1, fresh=1) as seen:
        second = world.deploy(app)
        wait_until(lambda: seen.answers[-1][1] == "2\n", "an answer of the second version")
    assert (second.status, second.failure) == (Status.LIVE, "")
    assert world.get(app.host, "/history") == (200, "1\n2\n")
    # Nobody met a broken connection: while nothing ran they were told to come back.
    assert {failure[:8] for failure in seen.failures} <= {"HTTP 503"}
    assert seen.bodies() == ["1\n", "2\n"]
    assert second.gap_seconds is not None and f"took {second.gap_seconds:.1f} s" in log(second)
    assert world.roll_back(first).status == Status.LIVE
    assert world.get(app.host, "/history") == (200, "1\n2\n1\n")
    assert len(world.containers()) == 1
    app_delete(app=app)
    reconciliation.apply_wishes()
    assert not App.objects.exists() and world.containers() == []
    assert volumes(world) == [f"mist-{world.instance}-{first.app_id}-data"]


def test_beside_each_other_they_would_not_run(
    world: World, ledger: tuple[App, Origin], settings: Settings
) -> None:
    """What the other tests rely on: the lock is a real one."""
    app, _ = ledger
    first = world.deploy(app)
    app_update(app=app, release_mode="no-gap")
    settings.MIST_HEALTH_TIMEOUT = 15.0
    second = world.deploy(app)
    assert second.status == Status.FAILED and "The app ended" in second.failure
    assert "The ledger is locked by another process." in second.failure_detail
    assert world.get(app.host)[0] == 200
    assert [c.id for c in world.containers()] == [first.container_id]


def test_the_old_one_is_back_after_a_failed_new_one(
    world: World, ledger: tuple[App, Origin]
) -> None:
    app, origin = ledger
    first = world.deploy(app)
    origin.commit({"ledger.py": "raise SystemExit(3)\n", "VERSION": "2\n"}, "Second version")
    second = world.deploy(app)
    assert second.status == Status.FAILED and "exit code 3" in second.failure
    assert "#1 runs again and answers" in log(second)
    # What was started again has its own start time, and the proxy a moment to see it.
    wait_until(lambda: world.get(app.host) == (200, "1\n"), "the first version's answer")
    assert [c.id for c in world.containers()] == [first.container_id]
    app.refresh_from_db()
    assert not app.needs_apply


def test_a_port_of_the_server_answers_and_is_handed_on(world: World) -> None:
    port = free_ports(1)[0]
    app, origin = world.app("python-web", health_path="/healthz")
    host_port_add(
        app=app,
        port=port,
        protocol="tcp",
        container_port=8000,
        reach="local",
        created_by=None,
    )

    def answer() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as found:
            return str(found.read().decode())

    assert world.deploy(app).status == Status.LIVE
    assert answer() == "python VERSION 1"
    origin.commit({"VERSION": "2"}, "Version 2")
    second = world.deploy(app)
    assert (second.status, second.failure) == (Status.LIVE, "")
    assert answer() == "python VERSION 2"
