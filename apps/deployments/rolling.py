"""A new version that takes over container by container, with memory for one more than usual.

Traefik cannot leave a running container out of a service that labels make, so meanwhile the app's
route file leads to containers by their addresses. Which of them serve the row says
(`Deployment.roll`), and whoever writes the file asks the row: it may be written at any time, by any
process. Each step is in the row before it is in the file, and in use by the proxy before a
container is ended. So a Mist that was killed left everything that the next one needs to go on.
"""

from __future__ import annotations

from apps.deployments import condition, lifecycle, planning
from apps.deployments.checking import look_at, see_that_it_lives
from apps.deployments.ending import wish_lock
from apps.deployments.models import Deployment, Status
from apps.deployments.rolls import UP, old_to_keep, one_by_one, serve
from apps.deployments.selectors import live_deployment_of
from apps.deployments.starting import start_container
from apps.deployments.traffic import drain, move_traffic
from apps.deployments.work import Work
from apps.engine.data import ContainerStatus
from apps.engine.locks import file_lock
from apps.projects.models import App


def replace_one_by_one(work: Work) -> bool:
    """Let the new version, whose first container works, take over container by container until it
    is live; from its first step on nothing is undone, but `going_back` follows where it does not go
    live. False, with nothing done, where its containers take over at once. Raises what starting,
    checking and switching raise."""
    if not one_by_one(work.app):
        return False
    work.deadline(None, "Switching").check()
    # A wish that is being carried out ends first; later ones see that they have to wait.
    with file_lock(wish_lock(work.app)):
        live = live_deployment_of(work.app.pk)
        serving = _running(work, live) if live is not None else []
        if live is None or not serving:
            return False
        roll = {"serving": serving, "of": work.app.replicas}
        lifecycle.move(work.deployment, Status.SWITCHING, roll=roll)
    work.undo.pop_all()
    work.say(f"Replacing the containers of #{live.number} one by one")
    go_on(work, live, passed=1)
    return True


def go_on(work: Work, live: Deployment, *, passed: int = 0) -> None:
    """Everything from where the row says it is to live traffic. So many of the new containers have
    passed their check already. Raises as `replace_one_by_one`."""
    deployment, of = work.deployment, int((work.deployment.roll or {})["of"])
    if work.is_resumed:
        # What the row says the proxy may never have heard of; and what has ended since, with the
        # machine for example, is begun anew.
        serve(work, [one for one in deployment.serving if _is_up(work, one)])
    while deployment.replaced < of:
        if deployment.replaced:
            _leave_out(work, live, of)
            work.say(f"{deployment.replaced} of {of} replaced")
        _see_that_new_ones_live(work)
        work.replica = _next(deployment)
        if work.replica > passed:
            _make_ready(work)
        work.deadline(None, "Switching traffic").check()
        serve(work, [*deployment.serving, work.container_id])
    _see_that_new_ones_live(work)
    # What is left of the old version ends as any replaced version does.
    move_traffic(work)
    work.say(f"{of} of {of} replaced")


# ----------------------------------------------------------------------------------------- steps


def _running(work: Work, live: Deployment) -> list[str]:
    """Those of what is live that serve, none where visitors cannot be shared: of a worker and of
    what has an address, or of an app that is stopped."""
    wanted = App.objects.values_list("wanted", flat=True).get(pk=work.app.pk)
    if wanted != App.Wanted.RUNNING or live.has_address != work.deployment.has_address:
        return []
    found = [work.engine.containers.inspect(one) for one in live.container_ids]
    network = planning.network_name(work.app.project)
    return [
        one.id
        for one in found
        if one is not None
        and one.status is ContainerStatus.RUNNING
        and (one.addresses.get(network) or not live.has_address)
    ]


def _next(deployment: Deployment) -> int:
    """Which of its containers is the first that does not serve, started or not."""
    for number, one in enumerate(deployment.container_ids, 1):
        if one not in deployment.serving:
            return number
    return len(deployment.container_ids) + 1


def _make_ready(work: Work) -> None:
    """See that the container that the work is at works, started by whom it may."""
    deployment, number = work.deployment, work.replica
    there = work.engine.containers.inspect(work.container_id) if work.container_id else None
    if there is None or there.status is not ContainerStatus.RUNNING:
        container = start_container(work, deployment.port)
        ids = deployment.container_ids
        ids[number - 1 : number] = [container.id]
        lifecycle.record(deployment, container_id=ids[0], replica_ids=ids[1:])
    look_at(work)


def _see_that_new_ones_live(work: Work) -> None:
    for number, one in enumerate(work.deployment.container_ids, 1):
        if one in work.deployment.serving:
            work.replica = number
            see_that_it_lives(work)


def _leave_out(work: Work, live: Deployment, of: int) -> None:
    """Take as many old containers out of traffic as new ones have come in, and end them."""
    deployment = work.deployment
    keep = old_to_keep(deployment.replaced, of=of, old=len(live.container_ids))
    left = [one for one in live.container_ids if one in deployment.serving]
    # One that does not run serves nobody: it goes first.
    left.sort(key=lambda one: _runs(work, one))
    going = left[: max(0, len(left) - keep)]
    if going:
        serve(work, [one for one in deployment.serving if one not in going])
    _end_those_left_out(work, live)


def _end_those_left_out(work: Work, live: Deployment) -> None:
    cancel = work.deadline(None, "Draining")
    for number, one in enumerate(live.container_ids, 1):
        container = work.engine.containers.inspect(one)
        if one in work.deployment.serving or container is None or container.status not in UP:
            continue
        drain(work, live, container, cancel=cancel)
        cancel.check()
        work.say(f"Stopping container {number} of #{live.number}")
        work.end([container], seconds=planning.stop_seconds(live.app))


def _is_up(work: Work, container_id: str) -> bool:
    """Whether it runs, is about to, or has done what it had to."""
    container = work.engine.containers.inspect(container_id)
    return container is not None and (container.status in UP or condition.has_ended(container))


def _runs(work: Work, container_id: str) -> bool:
    container = work.engine.containers.inspect(container_id)
    return container is not None and container.status is ContainerStatus.RUNNING
