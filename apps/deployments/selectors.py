"""Reading deployments and what apps do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import changes
from apps.deployments.changes import Change, Record
from apps.deployments.holdings import holdings_of, stops_first
from apps.deployments.models import (
    RUNNING,
    SHARING,
    UNFINISHED,
    WITH_ROLL,
    Deployment,
    EngineState,
    Status,
)
from apps.projects.models import App, EnvironmentVariable, HostPort, Volume
from apps.projects.selectors import apps_visible_to, filled_in

LEASE_SECONDS = 20
_UNRETIRED = Q(status__in=(Status.LIVE, Status.RETIRED)) & ~Q(owner="")


@dataclass(frozen=True)
class Unapplied:
    """Changes of an app that its running version does not have."""

    changes: list[Change] = field(default_factory=list)
    number: int | None = None
    """The unfinished deployment that takes them up; None when nobody has asked yet."""
    keeps_commit: bool = True
    """Whether applying them deploys the same commit again."""
    commit: str = ""
    """The live one."""


def deployments_visible_to(user: User) -> QuerySet[Deployment]:
    """Newest first, with what every list shows."""
    # EXISTS keeps the first page of a long list cheap: with IN, SQLite sorts every deployment.
    visible = apps_visible_to(user).filter(pk=OuterRef("app_id"))
    return (
        Deployment.objects.filter(Exists(visible))
        .select_related("app__project", "requested_by")
        .defer("made_from", "variables")
        .order_by("-id")
    )


def count_deployments_visible_to(user: User) -> int:
    """How many they are. IN counts along the index, five times as quick as EXISTS row by row."""
    return Deployment.objects.filter(app__in=apps_visible_to(user).order_by()).count()


def deployments_of(app: App) -> QuerySet[Deployment]:
    return (
        Deployment.objects.filter(app=app)
        .select_related("app__project", "requested_by")
        .defer("made_from", "variables")
        .order_by("-id")
    )


def recent_and_live(app: App, count: int) -> tuple[list[Deployment], Deployment | None]:
    """The newest deployments and the live one, wherever it stands, in one query."""
    newest = Deployment.objects.filter(app=app).order_by("-id").values("pk")[:count]
    rows = list(deployments_of(app).filter(Q(status=Status.LIVE) | Q(pk__in=newest)))
    return rows[:count], next((d for d in rows if d.status == Status.LIVE), None)


def live_deployment(app: App) -> Deployment | None:
    return deployments_of(app).filter(status=Status.LIVE).first()


def unfinished_deployment(app: App) -> Deployment | None:
    """The one that is being worked on, else the newest that waits."""
    return (
        deployments_of(app).filter(status__in=RUNNING).first()
        or deployments_of(app).filter(status=Status.QUEUED).first()
    )


@dataclass(frozen=True)
class EngineProblem:
    sentence: str
    since: dt.datetime


def engine_problem() -> EngineProblem | None:
    """Why the Docker engine does not answer, None while it does."""
    row = EngineState.objects.exclude(problem="").values_list("problem", "since").first()
    return EngineProblem(*row) if row else None


def in_gap(app: App) -> bool:
    """Whether a deployment at work has stopped the app's live version to make way."""
    at_work = Deployment.objects.filter(app=app, status__in=RUNNING)
    return at_work.exclude(gap_began_at=None).exists()


def rolling_deployment(app: App) -> Deployment | None:
    """The one whose containers are taking the place of those of what is live, one by one, or are
    giving it back."""
    # In no order: by key, SQLite would go through the app's whole history.
    return next(iter(Deployment.objects.filter(SHARING, app=app).order_by()[:1]), None)


def stop_note(app: App, what: str = "Deploying") -> str:
    """What to know before the app is deployed: that its running version stops first, why, and how
    long that took last. Empty where nothing has to stop."""
    if app.wanted == App.Wanted.STOPPED or app.observed == App.Observed.NONE:
        return ""
    reason = stops_first(app)
    if not reason:
        return ""
    rows = Deployment.objects.filter(app=app).exclude(gap_seconds=None).order_by("-id")
    last = rows.values_list("gap_seconds", flat=True).first()
    expect = "Expect a gap of a few seconds"
    expect += "." if last is None else f", the last one took {last:.1f} s."
    return f"{what} stops the running version first: {reason}. {expect}"


def with_state(apps: QuerySet[App]) -> QuerySet[App]:
    """Annotate `active_status`: the status of an unfinished deployment, or None; and
    `holds_something`: whether it has a volume or a port of the server."""
    newest = Deployment.objects.filter(app=OuterRef("pk"), status__in=UNFINISHED).order_by("-id")
    return apps.annotate(
        active_status=Subquery(newest.values("status")[:1]),
        holds_something=_holds_something("pk"),
    )


def with_gap(apps: QuerySet[App]) -> QuerySet[App]:
    """Annotate `makes_gap`: whether deploying it stops its running version first (`stops_first`
    says why), for lists, which do not ask app by app."""
    modes = App.ReleaseMode
    runs = Q(wanted=App.Wanted.RUNNING) & ~Q(observed=App.Observed.NONE)
    ports = Exists(HostPort.objects.filter(app=OuterRef("pk")))
    volumes = Exists(Volume.objects.filter(app=OuterRef("pk")))
    stops = Q(release_mode=modes.STOP) | Q(ports) | Q(volumes, release_mode=modes.AUTOMATIC)
    return apps.annotate(makes_gap=Case(When(runs & stops, then=Value(True)), default=Value(False)))


def _holds_something(app: str) -> Q:
    volumes = Volume.objects.filter(app=OuterRef(app))
    return Q(Exists(volumes) | Exists(HostPort.objects.filter(app=OuterRef(app))))


def with_holdings(deployments: QuerySet[Deployment]) -> QuerySet[Deployment]:
    """Annotate `app_holds_something`, as `with_state` does for apps."""
    return deployments.annotate(app_holds_something=_holds_something("app_id"))


def with_records(apps: QuerySet[App]) -> QuerySet[App]:
    """Annotate what is compared to know changes that are not live: `live_record` and
    `live_commit`, and `active_record` and `active_number` of an unfinished deployment."""
    of_app = Deployment.objects.filter(app=OuterRef("pk"))
    live = of_app.filter(status=Status.LIVE)
    active = of_app.filter(status__in=UNFINISHED).order_by("-id")
    return apps.annotate(
        live_record=Subquery(live.values("made_from")[:1]),
        live_commit=Subquery(live.values("commit")[:1]),
        active_record=Subquery(active.values("made_from")[:1]),
        active_number=Subquery(active.values("number")[:1]),
    )


def unapplied(app: App, variables: Iterable[EnvironmentVariable] | None = None) -> Unapplied:
    """What is set and not live, of an app that has the attributes of `with_records`.

    Asks the database only when variables changed since, and `variables` are not at hand.
    """
    live: Record | None = app.live_record  # type: ignore[attr-defined]
    if live is None:
        return Unapplied()
    now: dict[str, Any]
    if live["environment"] == changes.environment_of(app):
        now = {**live, "settings": changes.settings_of(app)}
    else:
        read = filled_in(app, variables, strict=False)
        now = changes.record(app, read, holdings_of(app))
    found = changes.difference(live, now)
    active: Record | None = app.active_record  # type: ignore[attr-defined]
    waiting = app.active_status == Status.QUEUED  # type: ignore[attr-defined]
    # One that has not read them yet will.
    taken_up = (
        waiting
        or active is None
        or (
            active["settings"] == now["settings"]
            and active["environment"] == changes.environment_of(app)
        )
    )
    return Unapplied(
        changes=found,
        number=app.active_number if taken_up else None,  # type: ignore[attr-defined]
        keeps_commit=changes.same_source(live, app),
        commit=app.live_commit,  # type: ignore[attr-defined]
    )


def work_waiting() -> bool:
    """Whether anything was asked for that nobody has begun: cheap, asked twice a second."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [Status.QUEUED.value, True])
        return cursor.fetchone() is not None


# Written out because making a query costs twenty times what running this one does.
_WAITING = (
    f"SELECT 1 FROM {Deployment._meta.db_table} WHERE status = %s"  # noqa: S608 - our own names
    f" UNION ALL SELECT 1 FROM {App._meta.db_table} WHERE needs_apply = %s LIMIT 1"
)


def abandoned(*, owner: str, alone: bool, busy: Collection[int] = frozenset()) -> list[Deployment]:
    """Running deployments that no living worker owns, and those that go back.

    A lease is dead when its heartbeat is 20 s old, this process's own too: its worker may have
    ended with the database out of reach. `alone` says that no other Mist can be working on this
    database, so that every foreign lease is a dead one. What is in `busy` (keys) is worked on.
    """
    at_work = Q(status__in=RUNNING) | WITH_ROLL
    rows = Deployment.objects.filter(_dead_lease(owner, alone), at_work)
    return list(rows.exclude(pk__in=busy).select_related("app__project"))


def unretired(*, owner: str, alone: bool, busy: Collection[int] = frozenset()) -> list[Deployment]:
    """Deployments that went live and whose worker ended before it had taken the old version away
    and run the post-deploy command; some have been replaced since. As `abandoned` otherwise."""
    rows = Deployment.objects.filter(_dead_lease(owner, alone), _UNRETIRED)
    return list(rows.exclude(pk__in=busy).select_related("app__project"))


def unretired_apps() -> set[int]:
    """Ids of apps of which an old version may still have requests, or time to end."""
    return set(Deployment.objects.filter(_UNRETIRED).order_by().values_list("app_id", flat=True))


def draining_deployment(live: Deployment) -> Deployment | None:
    """The version whose requests may still finish beside this one, which has its place by now."""
    if not live.is_draining:
        return None
    return deployments_of(live.app).filter(status=Status.RETIRED).first()


def _dead_lease(owner: str, alone: bool) -> Q:
    limit = timezone.now() - dt.timedelta(seconds=LEASE_SECONDS)
    dead = Q(heartbeat_at=None) | Q(heartbeat_at__lt=limit)
    return dead | ~Q(owner=owner) if alone else dead


def live_deployment_of(app_id: int) -> Deployment | None:
    """As `live_deployment`, for who knows the app's id only."""
    live = Deployment.objects.filter(app=app_id, status=Status.LIVE)
    return live.select_related("app__project").first()
