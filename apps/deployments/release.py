"""The commands of a release: one before the new version starts, one after it went live."""

from __future__ import annotations

import logging
from collections import deque

from apps.deployments import changes, lifecycle, planning
from apps.deployments.holdings import holdings_then
from apps.deployments.models import PostDeploy, Status
from apps.deployments.work import Work
from apps.engine.data import Outcome
from apps.engine.deadline import Deadline
from apps.engine.errors import CommandFailed, EngineError

logger = logging.getLogger("mist.deployments")
RELEASE = "The release command"
POST_DEPLOY = "The post-deploy command"
CUT_OFF = "Mist was stopped while it ran, so nobody knows how it ended."
TOO_LATE = "A newer version took this one's place before it could run."
READ_ON = "Read its last lines: they say what went wrong."
LAST_LINES = 20


def release(work: Work) -> None:
    """Run the app's release command, if it has one, in the new image. Raises `CommandFailed` when
    it ends badly, `TimedOut`, `Cancelled`: nothing of the new version has started by then."""
    if not work.app.release_command:
        return
    lifecycle.move(work.deployment, Status.RELEASING)
    deadline = work.deadline(work.app.command_seconds, RELEASE)
    _run(work, RELEASE, work.app.release_command, deadline)


def after_going_live(work: Work) -> None:
    """Run the post-deploy command of a version that is live, if it has one, once. That it failed
    is written down; nothing is undone. May be repeated: one whose Mist was killed meanwhile is not
    run again. Raises `Overtaken`."""
    deployment = work.deployment
    deployment.refresh_from_db(fields=["status", "post_deploy"])
    if deployment.post_deploy == PostDeploy.RUNNING:
        remove_commands(work)
        _end(work, CUT_OFF)
    elif deployment.post_deploy == PostDeploy.WAITING:
        if deployment.status != Status.LIVE:
            _end(work, TOO_LATE)
            return
        lifecycle.begin_post_deploy(deployment)
        _end(work, _try_post_deploy(work))


def remove_commands(work: Work) -> None:
    """Containers of the deployment's commands that nobody waits for."""
    containers = work.engine.containers
    for left in containers.list(labels=planning.command_labels(work.deployment)):
        containers.remove(left.id)


def _try_post_deploy(work: Work) -> str:
    """Why it failed, empty when it did not."""
    work.variables = changes.unpack_variables(work.deployment.variables)
    work.held = holdings_then(work.deployment.made_from or {})
    # Who wanted to cancel was too late: this ends by itself or by its limit.
    deadline = Deadline(work.app.command_seconds, what=POST_DEPLOY)
    try:
        _run(work, POST_DEPLOY, work.app.post_deploy_command, deadline)
    except EngineError as error:
        return error.sentence if error.hint == READ_ON else f"{error.sentence} {error.hint}".strip()
    except Exception as error:
        logger.exception("%s of %s failed inside Mist", POST_DEPLOY, work.deployment)
        return f"Mist itself failed ({type(error).__name__})."
    return ""


def _end(work: Work, failure: str) -> None:
    work.say(failure or f"{POST_DEPLOY} is done")
    lifecycle.end_post_deploy(work.deployment, failure=work.hidden(failure))


def _run(work: Work, what: str, command: str, deadline: Deadline) -> None:
    containers = work.engine.containers
    port = planning.choose_port(work.app, containers.exposed_ports(work.deployment.image))
    spec = planning.command_spec(
        work.deployment, command, port=port, variables=work.variables, held=work.held
    )
    containers.ensure_network(spec.network, labels=planning.instance_labels())
    work.say(f"{what.removeprefix('The ').capitalize()}: {command}")
    last: deque[str] = deque(maxlen=LAST_LINES)

    def line(text: str) -> None:
        work.line(text)
        last.append(text)

    try:
        outcome = containers.run_once(spec, log=line, deadline=deadline)
        if outcome.exit_code != 0:
            raise _failed(work, what, outcome)
    except EngineError as error:
        error.detail = error.detail or "\n".join(last)
        raise


def _failed(work: Work, what: str, outcome: Outcome) -> CommandFailed:
    code = f"exit code {outcome.exit_code}"
    if outcome.out_of_memory:
        return CommandFailed(
            f"{what} ended with {code} because it used more than {work.app.memory_mb} MB.",
            hint="Raise the memory limit in the app's settings.",
        )
    if outcome.exit_code in (126, 127):
        # What a shell and the container's init say of a command that is none.
        return CommandFailed(
            f"{what} does not exist in the image, or may not be run ({code}).",
            hint="Correct it in the app's settings. For pipes and variables use sh -c '…'.",
        )
    return CommandFailed(f"{what} ended with {code}.", hint=READ_ON)
