"""Reading what is known of the disk, and which clean-ups there were."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apps.storage.models import CleanUp, Survey

SHOWN = 10
_UNFINISHED = (CleanUp.Status.WAITING, CleanUp.Status.RUNNING)


def last_survey() -> Survey | None:
    return Survey.objects.filter(pk=Survey.ONLY).first()


def unfinished_cleanup() -> CleanUp | None:
    return CleanUp.objects.filter(status__in=_UNFINISHED).order_by("id").first()


def waiting_cleanup() -> CleanUp | None:
    return CleanUp.objects.filter(status=CleanUp.Status.WAITING).order_by("id").first()


def past_cleanups(count: int = SHOWN) -> QuerySet[CleanUp]:
    """The newest that are over."""
    over = CleanUp.objects.exclude(status__in=_UNFINISHED).select_related("requested_by")
    return over.order_by("-id")[:count]


def cleanup_is_due() -> bool:
    """Whether the schedule asks for one: the last, whoever asked for it, was long enough ago."""
    hours = settings.MIST_CLEANUP_HOURS
    if hours <= 0:
        return False
    since = timezone.now() - dt.timedelta(hours=hours)
    return not CleanUp.objects.filter(created_at__gt=since).exists()
