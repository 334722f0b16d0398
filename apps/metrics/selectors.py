"""Reading samples, and which containers there are to take them from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db.models import Q

from apps.accounts.models import User
from apps.deployments.models import Deployment, Status
from apps.metrics.models import Resolution, Samples
from apps.metrics.packing import HOST, Point, Sample, bucket_of, unpack, unpack_one
from apps.metrics.planning import Moment, Range, Series, roll_up
from apps.projects.models import App
from apps.projects.selectors import apps_visible_to

MINUTE = 60
MINUTES = 60
"""Points of a sparkline."""
TOP = 5
MARKS = 50
_FINER = {Resolution.COARSE: Resolution.MEDIUM, Resolution.MEDIUM: Resolution.FINE}


def live_containers(apps: Iterable[int] | None = None) -> dict[int, list[str]]:
    """App's id → its containers that should run; of all apps, or of some."""
    rows = Deployment.objects.filter(
        status=Status.LIVE, app__wanted=App.Wanted.RUNNING, app__deleted_at=None
    ).exclude(container_id="")
    if apps is not None:
        rows = rows.filter(app__in=list(apps))
    found = rows.order_by().values_list("app_id", "container_id", "replica_ids")
    return {app: [first, *others] for app, first, others in found}


def running_count() -> int:
    """Apps that were last seen to run."""
    return App.objects.filter(observed=App.Observed.RUNNING, deleted_at=None).count()


def series_of(subject: int, chosen: Range, now: float) -> Series:
    """The subject's samples in the range, at most 722. What is not rolled up yet comes from finer
    samples, as far back as the interval before the running one. One query."""
    step = int(chosen.resolution)
    begin = int(now) - chosen.seconds
    wanted = Q(resolution=step, at__gte=begin - begin % step)
    kinds = [chosen.resolution]
    while (finer := _FINER.get(kinds[-1])) is not None:
        coarse = int(kinds[-1])
        wanted |= Q(resolution=finer, at__gte=int(now) - int(now) % coarse - coarse)
        kinds.append(finer)
    # Sorted here: with an order SQLite would read the index from one end to the other.
    rows = Samples.objects.filter(wanted, bucket=bucket_of(subject)).order_by()
    found: dict[int, Series] = {kind: [] for kind in kinds}
    for kind, at, data in rows.values_list("resolution", "at", "data"):
        if (sample := unpack_one(data, subject)) is not None:
            found[kind].append(Moment(at, sample))
    return _joined(found)


def _joined(found: dict[int, Series]) -> Series:
    """One series of samples by resolution, coarsest first: each where coarser ones end."""
    covered = 0
    for kind, moments in found.items():
        found[kind] = sorted(moment for moment in moments if moment.at >= covered)
        if found[kind]:
            covered = found[kind][-1].at + kind
    series: Series = []
    for kind, moments in reversed(found.items()):
        series = moments + _grouped(series, kind)
    return series


def _grouped(series: Series, step: int) -> Series:
    groups: dict[int, list[Sample]] = {}
    for at, sample in series:
        groups.setdefault(at - at % step, []).append(sample)
    return [Moment(at, roll_up(samples)) for at, samples in groups.items()]


def last_hour(subject: int, now: float) -> tuple[Point | None, list[Point | None]]:
    """The newest sample, unless it is more than a minute old, and one of each minute of the last
    hour, None where there is none. One query."""
    end = int(now) - int(now) % MINUTE
    minutes = range(end - MINUTE * (MINUTES - 1), end + 1, MINUTE)
    fine = Resolution.FINE
    newest = range(int(now) - int(now) % fine - 3 * fine, int(now) + 1, fine)
    rows = Samples.objects.filter(
        # Single moments, which the index finds at once; a stretch would hold all other buckets.
        resolution=fine,
        at__in=[*minutes, *newest],
        bucket=bucket_of(subject),
    )
    found = {
        at: sample.mean
        for at, data in rows.values_list("at", "data")
        if (sample := unpack_one(data, subject)) is not None
    }
    fresh = [at for at in found if at >= newest[0]]
    return (found[max(fresh)] if fresh else None), [found.get(at) for at in minutes]


def newest_points(now: float) -> dict[int, Point]:
    """Subject → its newest sample, when that is no older than a minute. One query."""
    rows = Samples.objects.filter(resolution=Resolution.FINE, at__gte=int(now) - MINUTE).order_by(
        "at"
    )
    found: dict[int, Point] = {}
    last = 0
    for at, data in rows.values_list("at", "data"):
        if at != last:
            # An app without a sample in the newest round does not run any more.
            found, last = {}, at
        found |= {subject: sample.mean for subject, sample in unpack(data).items()}
    return found


def deployments_since(app: App, begin: float) -> list[tuple[int, int]]:
    """When a deployment of the app went live, in seconds since the epoch, and its number. At most
    the 50 newest."""
    rows = Deployment.objects.filter(
        app=app,
        status__in=(Status.LIVE, Status.RETIRED),
        finished_at__gte=dt.datetime.fromtimestamp(begin, dt.UTC),
    ).order_by("-id")
    found = rows.values_list("finished_at", "number")[:MARKS]
    return [(int(at.timestamp()), number) for at, number in reversed(found) if at is not None]


def top_apps(user: User, points: dict[int, Point]) -> tuple[list[App], list[App]]:
    """The apps that take the most CPU and the most memory, each with its point as `point`."""
    apps = {subject: point for subject, point in points.items() if subject != HOST}
    by_cpu = sorted(apps, key=lambda subject: apps[subject].cpu, reverse=True)[:TOP]
    by_memory = sorted(apps, key=lambda subject: apps[subject].memory, reverse=True)[:TOP]
    known = apps_visible_to(user).in_bulk({*by_cpu, *by_memory})
    for app in known.values():
        app.point = apps[app.pk]  # type: ignore[attr-defined]
    return (
        [known[subject] for subject in by_cpu if subject in known],
        [known[subject] for subject in by_memory if subject in known],
    )
