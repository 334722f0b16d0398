"""Release commands, health checks and endings with the real engine."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from apps.deployments import observation
from apps.deployments.archive import kept_lines
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel
from apps.projects.models import App
from apps.projects.services import app_update, variables_save
from tests.engine.git_host import Origin
from tests.machine.world import World, steady_visitors, wait_until

pytestmark = pytest.mark.docker
CANCEL_SECONDS = 10.0
"""Two where nothing else runs; what is cancelled would go on for a minute."""


def program(world: World, command: str, **settings: Any) -> tuple[App, Origin]:
    """An app that is one shell command on busybox."""
    app, origin = world.app("static", **settings)
    text = 'FROM busybox:latest\nCOPY run.sh /run.sh\nCMD ["sh", "/run.sh"]\n'
    origin.commit({"Dockerfile": text, "run.sh": command + "\n"}, "Another program")
    return app, origin


def log_text(deployment: Deployment) -> str:
    return "".join(plain_text(log_path(deployment.pk)))


def file_text(deployment: Deployment) -> str:
    path = log_path(deployment.pk)
    return path.read_text(errors="replace") if path.exists() else ""


def test_a_release_command_that_fails_keeps_the_old_version(world: World) -> None:
    app, _ = world.app("static")
    first = world.deploy(app)
    variables_save(app=app, values={"STEP": "0002 cart"}, changed_by=None)
    app_update(app=app, release_command="sh -c 'echo migrating $STEP; ls /no/where; exit 3'")
    with steady_visitors(world, app.host) as seen:
        failed = world.deploy(app)
    assert (failed.status, failed.failed_stage) == (Status.FAILED, Status.RELEASING)
    assert failed.failure == "The release command ended with exit code 3."
    assert "migrating ••••••" in failed.failure_detail and "/no/where" in failed.failure_detail
    assert "releasing migrating ••••••" in log_text(failed)
    assert seen.failures == [] and seen.answers
    assert [c.id for c in world.containers()] == [first.container_id]
    assert world.images() == [first.image]

    app_update(
        app=app,
        release_command="sh -c 'echo migrated'",
        post_deploy_command="sh -c 'echo warming; exit 5'",
    )
    done = world.deploy(app)
    assert (done.status, done.post_deploy) == (Status.LIVE, "failed")
    assert done.post_deploy_failure.startswith("The post-deploy command ended with exit code 5.")
    text = log_text(done)
    places = [text.index(words) for words in ("migrated", "Starting mist-", "Live at", "warming")]
    assert places == sorted(places)
    assert [c.id for c in world.containers()] == [done.container_id]


@pytest.mark.parametrize(
    ("command", "seconds", "sentence"),
    [
        ("no-such-program", 60, "does not exist in the image"),
        ("sleep 60", 2, "The release command took longer than 2 s."),
        ("sh -c 'tail /dev/zero'", 60, "because it used more than 16 MB."),
    ],
)
def test_why_a_release_command_failed_is_told(
    world: World, command: str, seconds: int, sentence: str
) -> None:
    app, _ = world.app("static", release_command=command, command_seconds=seconds, memory_mb=16)
    failed = world.deploy(app)
    assert failed.failed_stage == Status.RELEASING and sentence in failed.failure
    assert (world.containers(), world.images()) == ([], [])


def cancelled(
    world: World, app: App, reached: str, *, pause: float = 0.0
) -> tuple[Deployment, float]:
    """Deploy, cancel once the log has come so far, and how many seconds that took."""
    asked: list[float] = []

    def cancel() -> None:
        try:
            wait_until(lambda: Deployment.objects.filter(app=app).exists(), "a deployment")
            deployment = Deployment.objects.get(app=app)
            wait_until(lambda: reached in file_text(deployment), reached, 60)
            time.sleep(pause)
            deployment_cancel(deployment=deployment, by=None)
            asked.append(time.monotonic())
        finally:
            connection.close()

    thread = threading.Thread(target=cancel)
    thread.start()
    ended = world.deploy(app)
    took = time.monotonic() - asked[0]
    thread.join()
    return ended, took


@pytest.mark.parametrize("command", ["trap '' TERM; sleep 60", "while :; do echo again; done"])
def test_a_release_command_is_cancelled_within_seconds(world: World, command: str) -> None:
    app, _ = world.app("static", release_command=f'sh -c "echo begun; {command}"')
    ended, took = cancelled(world, app, "releasing begun")
    assert (ended.status, ended.failed_stage) == (Status.CANCELLED, Status.RELEASING)
    assert took < CANCEL_SECONDS
    assert (world.containers(), world.images()) == ([], [])


def test_a_worker_that_stays_up_has_no_address(world: World) -> None:
    app, origin = program(world, "while :; do sleep 0.2; done", health_check="up")
    app_update(app=app, health_up_seconds=1)
    done = world.deploy(app)
    assert (done.status, done.port) == (Status.LIVE, None)
    assert world.get(app.host)[0] == 404
    app_update(app=app, health_up_seconds=20)
    origin.commit({"run.sh": "sleep 0.3; echo out of work; exit 4\n"}, "Give up")
    failed = world.deploy(app)
    # The engine forgets the exit code once it has started the container again.
    assert failed.failure.startswith("The app ended")
    assert failed.failure.endswith("instead of staying up.")
    assert "out of work" in failed.failure_detail
    assert [c.id for c in world.containers()] == [done.container_id]


def test_a_web_app_becomes_a_worker_and_a_web_app_again(world: World) -> None:
    app, _ = world.app("static")
    assert world.deploy(app).status == Status.LIVE and world.get(app.host)[0] == 200
    app_update(app=app, health_check="up", health_up_seconds=1)
    assert world.deploy(app).status == Status.LIVE and world.get(app.host)[0] == 404
    app_update(app=app, health_check="http")
    assert world.deploy(app).status == Status.LIVE and world.get(app.host)[0] == 200


def test_a_job_that_is_done_has_ended(world: World) -> None:
    app, _ = program(world, "echo done", health_check="up", restart_policy="no")
    done = world.deploy(app)
    observation.observe_all()
    app.refresh_from_db()
    assert (done.status, app.observed, app.observed_detail) == (Status.LIVE, "ended", "exit 0")


LISTENER = """\
FROM python:3.11-slim
EXPOSE 9000
CMD ["python", "-c", "import socket, time; time.sleep(3); \\
s = socket.create_server(('0.0.0.0', 9000)); time.sleep(600)"]
"""
"""It takes connections and never says a word."""


def test_a_tcp_app_is_live_once_its_port_accepts(world: World, settings: Settings) -> None:
    settings.MIST_HEALTH_TIMEOUT = 60.0
    app, origin = world.app("static", health_check="tcp")
    origin.commit({"Dockerfile": LISTENER}, "Listen")
    done = world.deploy(app)
    assert (done.status, done.port, done.failure) == (Status.LIVE, 9000, "")
    assert "refused" in log_text(done) and "accepted after" in log_text(done)
    settings.MIST_HEALTH_TIMEOUT = 1.0
    origin.commit({"Dockerfile": LISTENER.replace("', 9000", "', 9001")}, "Listen elsewhere")
    failed = world.deploy(app)
    assert failed.failure.startswith("The app did not listen on port 9000")
    assert [c.id for c in world.containers()] == [done.container_id]


def test_the_stop_signal_and_the_grace_time_arrive(world: World) -> None:
    program_text = (
        "trap 'echo asked; sleep 6; echo ready; exit 0' USR1; while :; do sleep 0.1; done"
    )
    app, _ = program(world, program_text, health_check="up")
    app_update(app=app, health_up_seconds=1, stop_signal="SIGUSR1", stop_seconds=30)
    patient = world.deploy(app)
    app_update(app=app, stop_seconds=2)
    hasty = world.deploy(app)
    assert [line.text for line in kept_lines(patient.pk)] == ["asked", "ready"]
    assert world.deploy(app).status == Status.LIVE
    assert [line.text for line in kept_lines(hasty.pk)] == ["asked"]


SILENT = """\
FROM python:3.11-slim
EXPOSE 9000
CMD ["python", "-c", "import socket, time; \\
s = socket.create_server(('0.0.0.0', 9000)); print('silent', flush=True); time.sleep(600)"]
"""
"""It takes requests and never answers."""


def test_a_check_of_an_app_that_never_answers_is_cancelled_within_seconds(
    world: World,
) -> None:
    app, origin = world.app("static", health_timeout=60)
    origin.commit({"Dockerfile": SILENT}, "Say nothing")
    ended, took = cancelled(world, app, "checking » Checking", pause=1.0)
    assert (ended.status, ended.failed_stage) == (Status.CANCELLED, Status.CHECKING)
    assert took < CANCEL_SECONDS
