"""The health check of a new container, and why it did not pass in words."""

from __future__ import annotations

from django.conf import settings

from apps.deployments import lifecycle
from apps.deployments.models import Status
from apps.deployments.work import Work
from apps.engine.base import Container
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, HealthCheckFailed
from apps.engine.labels import probe_host

PROBE_PAUSE = 0.2
STEADY_PAUSE = 2.0


def check(work: Work) -> None:
    """Probe through the proxy until the app answers, or say why it never did."""
    deployment, app = work.deployment, work.app
    lifecycle.move(deployment, Status.CHECKING)
    limit = settings.MIST_HEALTH_TIMEOUT
    deadline = work.deadline(None, "The health check")
    patience = Deadline(limit)
    work.say(f"Checking GET {app.health_path} on port {deployment.port}, for up to {limit:.0f} s")
    attempts, said = 0, ""
    while True:
        attempts += 1
        answer = work.engine.proxy.probe(
            host=probe_host(deployment.container_name), path=app.health_path
        )
        if answer.healthy:
            work.line(
                f"Attempt {attempts}: HTTP {answer.status} after {answer.milliseconds:.0f} ms"
            )
            lifecycle.record(deployment, milliseconds=round(answer.milliseconds))
            return
        reason = answer.reason or f"HTTP {answer.status}"
        if reason != said:
            work.line(f"Attempt {attempts}: {reason}")
            said = reason
        _give_up_when_dead(work)
        if patience.remaining() <= 0:
            raise _unhealthy(work, attempts, reason)
        deadline.sleep(PROBE_PAUSE if attempts < 50 else STEADY_PAUSE)


def _give_up_when_dead(work: Work) -> None:
    container = work.engine.containers.inspect(work.deployment.container_id)
    if container is None:
        raise HealthCheckFailed(
            "The container was removed while it was checked.", hint="Deploy again."
        )
    ended = container.exit_code is not None and container.status not in ("running", "created")
    if not ended and container.restarts < 2:
        return
    raise _ended(work, container)


def _ended(work: Work, container: Container) -> HealthCheckFailed:
    code = "" if container.exit_code is None else f" with exit code {container.exit_code}"
    sentence = f"The app ended{code} instead of answering."
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
            "in the app's settings."
        )
    else:
        sentence = f"The health check GET {app.health_path} failed {attempts} times: {reason}."
        hint = "Find the cause in its last lines, or set another health check path."
    return HealthCheckFailed(sentence, hint=hint, detail=_last_lines(work))


def _last_lines(work: Work) -> str:
    try:
        lines = work.engine.containers.logs(work.deployment.container_id, tail=20)
    except EngineError:
        return ""
    for text in lines:
        work.line(text)
    return "\n".join(lines)
