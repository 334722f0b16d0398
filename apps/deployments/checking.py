"""The health check of a new container, and why it did not pass in words."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from apps.deployments import condition, lifecycle, planning
from apps.deployments.models import Deployment, Status
from apps.deployments.work import Work
from apps.engine.data import Container, ContainerStatus
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, HealthCheckFailed, ProxyUnavailable
from apps.engine.labels import probe_host
from apps.engine.run_settings import is_expected
from apps.projects.models import App

PROBE_PAUSE = 0.2
STEADY_PAUSE = 2.0
OFTEN = 50
"""Tries with the short pause before the long one, for an app without an interval of its own."""
RESTARTS_FORGIVEN = 1
"""An app may fall once while what it needs comes up; a worker is watched for just that."""
FALL_SECONDS = 3.0
"""How long to wait for the next fall of an app that falls again and again."""
STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
"""Exit codes of what somebody else told to end."""
STOPPING_SECONDS = 15.0
"""What an engine that ends gives to its containers at the most."""


class Try(NamedTuple):
    passed: bool
    said: str
    """What came of it, in words."""
    milliseconds: float = 0.0


def check(work: Work) -> None:
    """See that the new container works, in the way that its app says. Raises `HealthCheckFailed`
    with its last lines."""
    lifecycle.move(work.deployment, Status.CHECKING)
    look_at(work)


def look_at(work: Work) -> None:
    """Check the container that the work is at. Raises as `check`."""
    app, port = work.app, work.deployment.port
    if port is None:
        _watch(work)
        return
    limit = f"for up to {planning.start_seconds(app):.0f} s"
    if app.health_check == App.HealthCheck.TCP:
        work.say(f"Checking that port {port} accepts connections, {limit}")
        good = _try_until_good(work, lambda: _connect(work, port))
    else:
        work.say(f"Checking GET {app.health_path} on port {port}, {limit}")
        good = _try_until_good(work, lambda: _get(work))
    lifecycle.record(work.deployment, milliseconds=round(good.milliseconds))


def see_that_it_lives(work: Work) -> None:
    """Look at the container that the work is at once more, after it has passed. Raises
    `HealthCheckFailed` where it has ended since, and may not, or falls again and again."""
    container = work.engine.containers.inspect(work.container_id)
    if container is None or not condition.has_ended(container):
        _living(work, restarts=RESTARTS_FORGIVEN)


def answers(work: Work, live: Deployment, app: App, container: Container) -> bool:
    """Whether a container of `live`, made as `app` says, does now what its health check asks for.
    One of a worker does when it runs."""
    if not live.port or container.status is not ContainerStatus.RUNNING:
        return container.status is ContainerStatus.RUNNING
    proxy = work.engine.proxy
    if app.health_check == App.HealthCheck.TCP:
        address = container.addresses.get(planning.network_name(work.app.project), "")
        return bool(address) and not proxy.connect(address=address, port=live.port)
    answer = proxy.probe(host=probe_host(container.name), path=app.health_path)
    return answer.status is not None and is_expected(app.health_status, answer.status)


def _get(work: Work) -> Try:
    answer = work.engine.proxy.probe(
        host=probe_host(work.deployment.name_of(work.replica)),
        path=work.app.health_path,
        timeout=work.app.health_timeout,
        deadline=work.deadline(None, "The health check"),
    )
    if answer.status is not None and is_expected(work.app.health_status, answer.status):
        said = f"HTTP {answer.status} after {answer.milliseconds:.0f} ms"
        return Try(True, said, answer.milliseconds)
    return Try(False, answer.reason or f"HTTP {answer.status}")


def _connect(work: Work, port: int) -> Try:
    container = work.engine.containers.inspect(work.container_id)
    network = planning.network_name(work.app.project)
    address = container.addresses.get(network, "") if container is not None else ""
    if not address:
        return Try(False, "the container has no address yet")
    began = time.monotonic()
    refusal = work.engine.proxy.connect(
        address=address,
        port=port,
        timeout=work.app.health_timeout,
        deadline=work.deadline(None, "The health check"),
    )
    milliseconds = (time.monotonic() - began) * 1000
    return Try(not refusal, refusal or f"accepted after {milliseconds:.0f} ms", milliseconds)


def _try_until_good(work: Work, attempt: Callable[[], Try]) -> Try:
    """The first good try. Bad ones count from the end of the app's start time on."""
    app = work.app
    deadline = work.deadline(None, "The health check")
    starting = Deadline(planning.start_seconds(app))
    attempts, bad, said = 0, 0, ""
    while True:
        attempts += 1
        away: ProxyUnavailable | None = None
        try:
            result = attempt()
        except ProxyUnavailable as error:
            # It may just be restarting.
            away, result = error, Try(False, error.sentence)
        if result.said != said:
            work.line(f"Attempt {attempts}: {result.said}")
            said = result.said
        if result.passed:
            return result
        _living(work, restarts=RESTARTS_FORGIVEN)
        if starting.remaining() <= 0:
            bad += 1
        if bad >= app.health_attempts:
            raise away or _unhealthy(work, attempts, result.said)
        often = PROBE_PAUSE if attempts < OFTEN else STEADY_PAUSE
        deadline.sleep(often if app.health_interval is None else app.health_interval)


def _watch(work: Work) -> None:
    """A worker works when it stays up, or ends well and may."""
    wanted = work.app.health_up_seconds
    work.say(f"Watching that it stays up for {wanted} s")
    deadline = work.deadline(None, "The health check")
    since = time.monotonic()
    while True:
        container = work.engine.containers.inspect(work.container_id)
        if container is not None and condition.has_ended(container):
            work.line("It ended with exit code 0, as its restart policy allows")
            return
        container = _living(work, restarts=0)
        up = time.monotonic() - since
        if up >= wanted and container.status is ContainerStatus.RUNNING:
            work.line(f"Up for {up:.0f} s")
            return
        deadline.sleep(min(PROBE_PAUSE, max(0.01, wanted - up)))


def _living(work: Work, *, restarts: int) -> Container:
    """The container, unless it is gone, has ended, or was started again more often than that."""
    container = work.engine.containers.inspect(work.container_id)
    if container is None:
        raise HealthCheckFailed(
            "The container was removed while it was checked.", hint="Deploy again."
        )
    ended = container.exit_code is not None and container.status not in ("running", "created")
    if ended or container.restarts > restarts:
        told = container.exit_code in STOPPED and not container.out_of_memory
        if container.status is ContainerStatus.EXITED and told:
            _see_whether_the_engine_stops(work)
        raise _ended(work, _fallen(work, container))
    return container


def _fallen(work: Work, container: Container) -> Container:
    """The container as it ended: one that the engine has started again already tells its exit
    code only when it falls once more, and one that runs on tells none."""
    until = Deadline(FALL_SECONDS)
    patience = work.deadline(None, "The health check")
    last: Container | None = container
    while last is not None and last.exit_code is None and until.remaining() > 0:
        patience.sleep(PROBE_PAUSE / 4)
        last = work.engine.containers.inspect(work.container_id)
    return last or container


def _see_whether_the_engine_stops(work: Work) -> None:
    """An engine that ends stops its containers first. Raises `EngineAway` when it was that."""
    until = Deadline(STOPPING_SECONDS)
    patience = work.deadline(None, "The health check")
    while until.remaining() > 0:
        patience.sleep(PROBE_PAUSE)
        work.engine.containers.info()


def _ended(work: Work, container: Container) -> HealthCheckFailed:
    code = "" if container.exit_code is None else f" with exit code {container.exit_code}"
    wanted = "answering" if work.deployment.has_address else "staying up"
    sentence = f"The app ended{code} instead of {wanted}."
    hint = "Read its last lines: a missing variable or a wrong start command are the usual causes."
    if container.out_of_memory:
        sentence = f"The app ended{code} because it used more memory than it may."
        hint = "Raise the memory limit in the app's settings."
    elif container.exit_code in (126, 127):
        # What a shell and the container's init say of a command that is none.
        sentence = (
            "The start command does not exist in the image, or may not be run "
            f"(exit code {container.exit_code})."
        )
        hint = "Check CMD and ENTRYPOINT in the Dockerfile."
    return HealthCheckFailed(sentence, hint=hint, detail=_last_lines(work))


def _unhealthy(work: Work, attempts: int, reason: str) -> HealthCheckFailed:
    app, port = work.app, work.deployment.port
    if "listen" in reason or "refused" in reason:
        sentence = f"The app did not listen on port {port} within the time limit."
        hint = (
            f"Let it listen on 0.0.0.0:{port} (Mist sets PORT={port}), or set the port it uses "
            "in the app's settings. A worker without a port has a health check of its own there."
        )
    elif app.health_check == App.HealthCheck.TCP:
        sentence = f"Port {port} accepted no connection in {attempts} tries: {reason}."
        hint = f"Let the app listen on 0.0.0.0:{port}, or set the port it uses in its settings."
    else:
        sentence = f"The health check GET {app.health_path} failed {attempts} times: {reason}."
        hint = "Find the cause in its last lines, or set another health check path."
    return HealthCheckFailed(sentence, hint=hint, detail=_last_lines(work))


def _last_lines(work: Work) -> str:
    try:
        lines = work.engine.containers.logs(work.container_id, tail=20)
    except EngineError:
        return ""
    for text in lines:
        work.line(text)
    return "\n".join(lines)
