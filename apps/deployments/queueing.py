"""How a deployment comes to wait in the queue, with its number, what it means for its app, and what
it waits for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.deployments.models import RUNNING, SHARING, UNFINISHED, Deployment, Status
from apps.deployments.selectors import LEASE_SECONDS, engine_problem
from apps.projects.models import App


def create(app: App, *, may_start: bool = True, **fields: Any) -> Deployment:
    """The app's next deployment, waiting. Where it `may_start` an app that is stopped, it does."""
    with transaction.atomic():
        number = next_number(app)
        stopped = App.objects.filter(pk=app.pk, wanted=App.Wanted.STOPPED).exists()
        starts = may_start and stopped
        return Deployment.objects.create(app=app, number=number, starts_app=starts, **fields)


def next_number(app: App) -> int:
    """The app's next deployment number; call it inside the transaction that uses it."""
    App.objects.filter(pk=app.pk).update(last_number=F("last_number") + 1)
    return App.objects.values_list("last_number", flat=True).get(pk=app.pk)


def keep_stopped(app: App) -> None:
    """Somebody stops the app: what is on its way does not start it. Call it in the transaction
    that writes what is wanted."""
    on_its_way = Deployment.objects.filter(app=app, status__in=UNFINISHED)
    on_its_way.filter(starts_app=True).update(starts_app=False)


@dataclass(frozen=True)
class Waiting:
    """Where a queued deployment stands, and what it waits for."""

    place: int
    """1 for the next one to be taken."""
    reason: str


def waiting(deployment: Deployment) -> Waiting | None:
    """None when it does not wait."""
    if deployment.status != Status.QUEUED:
        return None
    before = Deployment.objects.filter(status=Status.QUEUED, pk__lt=deployment.pk).count()
    return Waiting(before + 1, _reason_to_wait(deployment, before))


def _reason_to_wait(deployment: Deployment, before: int) -> str:
    if problem := engine_problem():
        return f"{problem.sentence} It goes on by itself as soon as the engine does."
    at_work = Deployment.objects.filter(Q(status__in=RUNNING) | SHARING)
    rows = list(at_work.defer("made_from", "variables"))
    for other in rows:
        if other.app_id == deployment.app_id:
            if other.is_going_back:
                ended = "failed" if other.status == Status.FAILED else "was cancelled"
                return f"#{other.number} of this app {ended} and gives its place back first."
            word = other.get_status_display().lower()
            return f"#{other.number} of this app is {word}; one app is deployed once at a time."
    running = [one for one in rows if one.status in RUNNING]
    if len(running) >= settings.MIST_CONCURRENT_DEPLOYMENTS:
        many = f"{len(running)} deployments are" if len(running) > 1 else "One deployment is"
        return f"{many} at work, as many as may be at once."
    if before:
        return f"{before} deployment{'s' if before > 1 else ''} before this one."
    if timezone.now() - deployment.created_at > dt.timedelta(seconds=LEASE_SECONDS):
        return "No worker has taken it yet: see whether Mist's worker runs."
    return "It is taken in a moment."
