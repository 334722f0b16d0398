"""The only writer of a deployment's status.

Every move is a compare-and-set on the row: of two writers one wins and the other is told so by
`Overtaken`. The table of moves is the whole law.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import events
from apps.deployments.models import RUNNING, SHARING, Deployment, PostDeploy, Status
from apps.engine.errors import Cancelled
from apps.projects.models import App

_ENDS = frozenset({Status.FAILED, Status.CANCELLED})
MOVES: dict[str, frozenset[Status]] = {
    # A rollback has its image already.
    Status.QUEUED: frozenset({Status.CLONING, Status.PULLING, Status.STARTING, Status.SKIPPED})
    | _ENDS,
    Status.CLONING: frozenset({Status.BUILDING, Status.QUEUED}) | _ENDS,
    # Only an app with a release command is released.
    Status.BUILDING: frozenset({Status.RELEASING, Status.STARTING, Status.QUEUED}) | _ENDS,
    Status.PULLING: frozenset({Status.RELEASING, Status.STARTING, Status.QUEUED}) | _ENDS,
    Status.RELEASING: frozenset({Status.STARTING, Status.QUEUED}) | _ENDS,
    Status.STARTING: frozenset({Status.CHECKING, Status.QUEUED}) | _ENDS,
    Status.CHECKING: frozenset({Status.SWITCHING, Status.QUEUED}) | _ENDS,
    Status.SWITCHING: frozenset({Status.LIVE, Status.QUEUED}) | _ENDS,
    Status.LIVE: frozenset({Status.RETIRED}),
}


class Overtaken(Exception):
    """Somebody else moved the deployment, or took it over, in the meantime."""


def _announce(deployment: Deployment) -> None:
    ids = {"deployment_id": deployment.pk, "app_id": deployment.app_id}
    transaction.on_commit(lambda: events.deployment_changed(**ids))


def move(deployment: Deployment, to: Status, **fields: Any) -> None:
    """Move on, writing `fields` along. One that ends while it shares the visitors with what is live
    keeps its owner and what it is made of until `has_gone_back` and `is_over`. Raises `Overtaken`
    when the row is no longer as we know it, and `ValueError` for a move that the table does not
    have."""
    was = deployment.status
    if to not in MOVES.get(was, frozenset()):
        raise ValueError(f"A deployment cannot go from {was} to {to}.")
    now = time.time()
    stages = dict(deployment.stages)
    if was in stages:
        stages[was] = [stages[was][0], now]
    if to in RUNNING or to is Status.LIVE:
        stages[to] = [now, None]
    fields |= {"status": to, "stages": stages}
    if to in _ENDS or to in (Status.LIVE, Status.SKIPPED):
        fields.setdefault("finished_at", timezone.now())
    if not (to in _ENDS and deployment.is_rolling):
        fields |= _let_go_of(to)
    if fields.get("container_id") == "":
        fields["replica_ids"] = []
    mine = Deployment.objects.filter(pk=deployment.pk, status=was, owner=deployment.owner)
    if not mine.update(**fields):
        raise Overtaken(f"{deployment} is no longer {was} in our hands.")
    for name, value in fields.items():
        setattr(deployment, name, value)
    _announce(deployment)


def _let_go_of(to: Status) -> dict[str, Any]:
    """What a deployment does not have any more once it is that."""
    fields: dict[str, Any] = {}
    if to not in RUNNING:
        fields["roll"] = None
    if to not in (*RUNNING, Status.LIVE, Status.RETIRED):
        # Nothing is compared with it, or made from it, any more.
        fields |= {"made_from": None, "variables": ""}
    if to in _ENDS:
        # Nobody has anything left to do for it.
        fields |= {"owner": "", "heartbeat_at": None}
    return fields


def has_gone_back(deployment: Deployment) -> None:
    """What had ended while it shared the visitors has given all of them back: from now on its app
    may be deployed again. Raises `Overtaken`."""
    roll = {key: value for key, value in (deployment.roll or {}).items() if key != "serving"}
    record(deployment, roll=roll)


def is_over(deployment: Deployment) -> None:
    """Nothing is left to do for one that went back. Raises `Overtaken`."""
    record(deployment, container_id="", replica_ids=[], **_let_go_of(Status(deployment.status)))


def record(deployment: Deployment, **fields: Any) -> None:
    """Write facts that are no move. Raises `Overtaken` when the deployment is not ours any more."""
    changed = Deployment.objects.filter(pk=deployment.pk, owner=deployment.owner).update(**fields)
    if not changed:
        raise Overtaken(f"{deployment} has another owner.")
    for name, value in fields.items():
        setattr(deployment, name, value)
    _announce(deployment)


def claim(*, owner: str, limit: int) -> Deployment | None:
    """Take the oldest queued deployment whose app is free, unless `limit` are running already. An
    app is not while one that has ended goes back.

    Two workers never get the same one, and no app is deployed twice at once: the row is taken by
    compare-and-set and a unique constraint stands behind it.
    """
    try:
        with transaction.atomic():
            at_work = Deployment.objects.filter(Q(status__in=RUNNING) | SHARING)
            busy = dict(at_work.values_list("app_id", "status"))
            if sum(status in RUNNING for status in busy.values()) >= limit:
                return None
            found = (
                Deployment.objects.filter(status=Status.QUEUED, app__deleted_at=None)
                .exclude(app_id__in=busy.keys())
                .select_related("app__project")
                .order_by("id")
                .first()
            )
            if found is None:
                return None
            now = timezone.now()
            move(
                found,
                _first_step(found),
                started_at=found.started_at or now,
                heartbeat_at=now,
                owner=owner,
            )
            if Deployment.objects.filter(status__in=RUNNING).count() > limit:
                # Another worker has taken one since we looked.
                raise Overtaken(f"{found} waits for a place.")
            return found
    except (IntegrityError, Overtaken):
        return None


def _first_step(deployment: Deployment) -> Status:
    if deployment.source_id:
        return Status.STARTING
    return Status.PULLING if deployment.wanted_image else Status.CLONING


def replace_container(deployment: Deployment, replica: int, container_id: str) -> bool:
    """Its container number `replica` is another one now. False when it is not live any more."""
    with transaction.atomic():
        fresh = Deployment.objects.filter(pk=deployment.pk, status=Status.LIVE).first()
        if fresh is None:
            return False
        ids = fresh.container_ids or [""]
        ids[replica - 1] = container_id
        fields: dict[str, Any] = {"container_id": ids[0], "replica_ids": ids[1:]}
        # Its status may change between the two: then this container is one too many.
        changed = Deployment.objects.filter(pk=fresh.pk, status=Status.LIVE).update(**fields)
    deployment.container_id, deployment.replica_ids = ids[0], ids[1:]
    return bool(changed)


def heartbeat(deployment: Deployment) -> bool:
    """Say that its owner lives. False when it is not ours any more."""
    mine = Deployment.objects.exclude(owner="").filter(pk=deployment.pk, owner=deployment.owner)
    return bool(mine.update(heartbeat_at=timezone.now()))


def take_over(deployment: Deployment, *, owner: str) -> None:
    """Become the owner of a deployment whose owner died, unless that one was heard of since.
    Raises `Overtaken`."""
    changed = Deployment.objects.filter(
        pk=deployment.pk,
        owner=deployment.owner,
        status=deployment.status,
        heartbeat_at=deployment.heartbeat_at,
    ).update(owner=owner, heartbeat_at=timezone.now())
    if not changed:
        raise Overtaken(f"{deployment} was taken over by somebody else.")
    deployment.owner = owner


def queue_again(deployment: Deployment) -> None:
    """Back into the queue, to begin from the start; to its end where a person has cancelled it
    and nobody was there to hear. What was built is built again; a rollback still has its image.
    Raises `Overtaken`."""
    again: dict[str, Any] = {} if deployment.source_id else {"image": ""}
    again |= {"container_id": "", "gap_began_at": None, "gap_seconds": None}
    with transaction.atomic():
        Deployment.objects.select_for_update().filter(pk=deployment.pk).first()
        if cancel_requested(deployment):
            move(deployment, Status.CANCELLED, failed_stage=deployment.status, **again)
        else:
            move(deployment, Status.QUEUED, owner="", heartbeat_at=None, **again)


def let_go(deployment: Deployment) -> None:
    """Nothing is left to do for this live, or replaced, deployment. Nothing happens when it is
    not ours any more."""
    give_back(deployment)
    _announce(deployment)


def give_back(deployment: Deployment) -> None:
    """Let go of one that is not over: whoever recovers abandoned work takes it up again."""
    Deployment.objects.filter(pk=deployment.pk, owner=deployment.owner).update(
        owner="", heartbeat_at=None
    )


def release(*, owner: str) -> None:
    """Let go of everything of `owner` that has not gone back into the queue, but a switch: its
    steps stop where they are, and whoever recovers abandoned work queues them again. So does who
    takes away what has ended."""
    released = {*RUNNING, *_ENDS} - {Status.SWITCHING}
    mine = Deployment.objects.filter(owner=owner, status__in=released)
    mine.update(owner="", heartbeat_at=None)


def cancel_requested(deployment: Deployment) -> bool:
    """Whether a person wants it to end. Raises `Overtaken` when it is not ours any more."""
    row = (
        Deployment.objects.filter(pk=deployment.pk)
        .values_list("owner", "cancel_requested_at")
        .first()
    )
    if row is None or row[0] != deployment.owner:
        raise Overtaken(f"{deployment} has another owner.")
    return row[1] is not None


def cancel(deployment: Deployment, *, by: User | None) -> bool:
    """Ask a running deployment to end, or end a waiting one at once. False when it is over."""
    with transaction.atomic():
        # Locked, so that no worker takes it in between.
        fresh = Deployment.objects.select_for_update().get(pk=deployment.pk)
        if fresh.status == Status.QUEUED:
            move(fresh, Status.CANCELLED, cancelled_by=by, cancel_requested_at=timezone.now())
            return True
        if fresh.status not in RUNNING:
            return False
        running = Deployment.objects.filter(pk=fresh.pk, status__in=RUNNING)
        return bool(running.update(cancelled_by=by, cancel_requested_at=timezone.now()))


def go_live(
    deployment: Deployment, *, observed: str = App.Observed.RUNNING, **fields: Any
) -> Deployment | None:
    """Retire the live deployment of the app and put this one in its place, in one transaction with
    the app's own state: it does what was `observed`, and shall run, unless somebody has stopped it
    since the deployment was asked for.

    Returns the one that was live before. Raises `Overtaken`, and `Cancelled` when a person was told
    that it ends: `cancel` writes to the same row, so one of them sees what the other did.
    """
    with transaction.atomic():
        # The app first, as whoever asks for a deployment does: else two could wait for each other.
        App.objects.select_for_update().only("pk").filter(pk=deployment.app_id).first()
        Deployment.objects.select_for_update().filter(pk=deployment.pk).first()
        if cancel_requested(deployment):
            raise Cancelled("Cancelled.")
        before = (
            Deployment.objects.filter(app_id=deployment.app_id, status=Status.LIVE)
            .exclude(pk=deployment.pk)
            .first()
        )
        if before is not None:
            move(before, Status.RETIRED)
        move(deployment, Status.LIVE, **fields)
        mine = App.objects.filter(pk=deployment.app_id)
        state = {"observed": observed, "observed_detail": ""}
        if Deployment.objects.filter(pk=deployment.pk, starts_app=True).exists():
            state["wanted"] = App.Wanted.RUNNING
        mine.update(**state)
        # Who has stopped it since this was asked for means this version too.
        mine.filter(wanted=App.Wanted.STOPPED).update(needs_apply=True, wishes=F("wishes") + 1)
    return before


def begin_post_deploy(deployment: Deployment) -> None:
    """The post-deploy command is run now: once, whatever happens. Raises `Overtaken`."""
    record(deployment, post_deploy=PostDeploy.RUNNING)


def end_post_deploy(deployment: Deployment, *, failure: str) -> None:
    """Write down how the post-deploy command ended, well when `failure` is empty. Raises
    `Overtaken`."""
    state = PostDeploy.FAILED if failure else PostDeploy.DONE
    record(deployment, post_deploy=state, post_deploy_failure=failure[:500])
