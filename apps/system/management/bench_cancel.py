"""How soon a deployment that is cancelled has ended, stage by stage, for `./mist bench`."""

from __future__ import annotations

import http.client
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_delete, deployment_cancel, deployment_request
from apps.engine.trials import Repository, served
from apps.projects.models import App, Project
from apps.projects.services import app_create, app_update, project_create
from apps.system.management.soak_invariants import find_leaks, is_at_rest

KINDS = ("good", "endless", "unwell", "wary", "patient")
REPLICAS = 3
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.01
GRACE_SECONDS = 10
HANGING = 6
"""Slow requests at three containers: Traefik leads to them in turn."""


@dataclass(frozen=True)
class Trial:
    """Apps to be deployed: one of one container, one of three, one whose Git host is silent."""

    single: App
    three: App
    unheard: App
    git: socket.socket


Reach = Callable[[Trial, ExitStack], Deployment]
"""Brings a deployment to a stage; what it needs for that is closed afterwards."""


def measure_cancels(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds from the call that cancels until the deployment has ended, and until nothing of it is
    left, by the stage that it was at. Where containers were replaced, as many old ones start one
    after the other in between. Raises `CommandError`."""
    repository = Repository(Path(settings.MIST_DATA_DIR) / "cancel.git")
    for kind in KINDS:
        repository.commit(kind)
    with served(repository) as url, socket.create_server(("127.0.0.1", 0)) as git:
        try:
            trial = _make(url, git)
            return {stage: _measure(trial, reach, rounds) for stage, reach in STAGES.items()}
        finally:
            for app in App.objects.filter(project__slug="cancel"):
                app_delete(app=app)
            _wait(lambda: not App.objects.filter(project__slug="cancel").exists())


def _measure(trial: Trial, reach: Reach, rounds: int) -> dict[str, float]:
    ended, gone = zip(*(_cancel(trial, reach) for _ in range(rounds)), strict=True)
    return {
        "ended_s": round(statistics.median(ended), 2),
        "ended_max_s": round(max(ended), 2),
        "gone_s": round(statistics.median(gone), 2),
    }


def _make(url: str, git: socket.socket) -> Trial:
    project = project_create(slug="cancel", created_by=None)
    silent = f"http://127.0.0.1:{git.getsockname()[1]}/soak/app"
    apps = [_app(project, slug, url) for slug in ("single", "three")]
    app_update(app=apps[1], replicas=REPLICAS, memory_mb=64)
    for app in apps:
        _finish(deployment_request(app=app, requested_by=None), Status.LIVE)
    return Trial(apps[0], apps[1], _app(project, "unheard", silent), git)


def _app(project: Project, slug: str, url: str) -> App:
    made: App = app_create(
        project=project,
        slug=slug,
        repository=url,
        branch="good",
        created_by=None,
        port=8000,
        health_path="/healthz",
    )
    return made


def _cancel(trial: Trial, reach: Reach) -> tuple[float, float]:
    with ExitStack() as meanwhile:
        deployment = reach(trial, meanwhile)
        began = time.monotonic()
        if not deployment_cancel(deployment=deployment, by=None):
            raise CommandError(f"It was too late to cancel {deployment}.")
        _finish(deployment, Status.CANCELLED)
        ended = time.monotonic() - began
        # What waited has made nothing, and another deployment is at work meanwhile.
        if deployment.status != Status.QUEUED:
            _wait(lambda: not find_leaks())
        gone = time.monotonic() - began
    _wait(is_at_rest)
    return ended, gone


# ------------------------------------------------------------------------------------- stages


def _waiting(trial: Trial, meanwhile: ExitStack) -> Deployment:
    first = _checking(trial, meanwhile)
    meanwhile.callback(lambda: deployment_cancel(deployment=first, by=None))
    return deployment_request(app=trial.single, requested_by=None)


def _cloning(trial: Trial, meanwhile: ExitStack) -> Deployment:
    """The Git host takes the call and says nothing."""
    deployment = deployment_request(app=trial.unheard, requested_by=None)
    trial.git.settimeout(PATIENCE_SECONDS)
    meanwhile.enter_context(trial.git.accept()[0])
    return _reach(deployment, Status.CLONING)


def _building(trial: Trial, meanwhile: ExitStack) -> Deployment:
    deployment = deployment_request(app=trial.single, requested_by=None, ref="endless")
    _reach(deployment, Status.BUILDING)
    time.sleep(1)  # The engine has to begin with the step that does not end.
    return _now(deployment)


def _releasing(trial: Trial, meanwhile: ExitStack) -> Deployment:
    command = "python -c 'import time; time.sleep(600)'"
    app_update(app=trial.single, release_command=command)
    meanwhile.callback(lambda: app_update(app=trial.single, release_command=""))
    deployment = deployment_request(app=trial.single, requested_by=None)
    _reach(deployment, Status.RELEASING)
    time.sleep(1)  # As above.
    return _now(deployment)


def _checking(trial: Trial, meanwhile: ExitStack) -> Deployment:
    deployment = deployment_request(app=trial.single, requested_by=None, ref="unwell")
    return _reach(deployment, Status.CHECKING)


def _replacing(trial: Trial, meanwhile: ExitStack) -> Deployment:
    """Two of three are replaced, and the third is checked."""
    deployment = deployment_request(app=trial.three, requested_by=None, ref="wary")
    _wait(lambda: _now(deployment).replaced == 2 and len(_now(deployment).container_ids) == 3)
    return _now(deployment)


def _draining(trial: Trial, meanwhile: ExitStack) -> Deployment:
    """The first of three is replaced, and the old one has requests that take their time."""
    _finish(deployment_request(app=trial.three, requested_by=None, ref="patient"), Status.LIVE)
    _wait(is_at_rest)
    meanwhile.enter_context(_slow_requests(trial.three.host))
    live = Deployment.objects.get(app=trial.three, status=Status.LIVE)
    deployment = deployment_request(app=trial.three, requested_by=None)
    _wait(lambda: _now(deployment).replaced == 1 and _drains(_now(deployment), live))
    return _now(deployment)


def _ending(trial: Trial, meanwhile: ExitStack) -> Deployment:
    """The first of three is replaced, and the old one, which does not hear its stop signal, has its
    grace time."""
    app_update(app=trial.three, stop_signal=App.StopSignal.WINCH, stop_seconds=GRACE_SECONDS)
    _finish(deployment_request(app=trial.three, requested_by=None), Status.LIVE)
    _wait(is_at_rest)
    deployment = deployment_request(app=trial.three, requested_by=None)
    log = log_path(deployment.pk)
    _wait(lambda: log.is_file() and "Stopping container" in "".join(plain_text(log)))
    return _now(deployment)


STAGES = {
    "waiting": _waiting,
    "cloning": _cloning,
    "building": _building,
    "release_command": _releasing,
    "checking": _checking,
    "2_of_3_replaced": _replacing,
    "draining": _draining,
    "old_one_has_10_s": _ending,
}


# -------------------------------------------------------------------------------------- parts


def _drains(deployment: Deployment, live: Deployment) -> bool:
    return not set(live.container_ids) <= set(deployment.serving)


@contextmanager
def _slow_requests(host: str) -> Iterator[None]:
    """Visitors who wait for an answer meanwhile."""

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", settings.MIST_HTTP_PORT, timeout=60)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/slow", headers={"Host": host})
            connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(HANGING)]
    for thread in threads:
        thread.start()
    time.sleep(1)  # Until all are with the app.
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def _now(deployment: Deployment) -> Deployment:
    return Deployment.objects.get(pk=deployment.pk)


def _reach(deployment: Deployment, status: Status) -> Deployment:
    _wait(lambda: _now(deployment).status == status)
    return _now(deployment)


def _finish(deployment: Deployment, status: Status) -> None:
    _wait(lambda: not _now(deployment).is_unfinished)
    ended = _now(deployment)
    if ended.status != status:
        raise CommandError(f"{ended} has ended as {ended.status}. {ended.failure}")


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise CommandError("What was to be measured did not come.")
        time.sleep(LOOK_SECONDS)
