"""How a deployment comes to wait in the queue, with its number, and what it means for its app."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from apps.deployments.models import UNFINISHED, Deployment
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
