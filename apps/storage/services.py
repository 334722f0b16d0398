"""What people ask of the disk."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.storage.cleaning import clean, cleaning_lock, cleanup_create, tell
from apps.storage.models import CleanUp, Survey
from apps.storage.selectors import unfinished_cleanup
from apps.storage.tasks import clean_up, survey_storage

STALE = dt.timedelta(seconds=60)
"""A page that is opened has the disk looked at again when that was longer ago."""


class AlreadyCleaning(Exception):
    """Another clean-up is at work."""


def cleanup_request(*, requested_by: User | None) -> CleanUp:
    """Queue a clean-up; the one that waits or is at work already when there is one."""
    with transaction.atomic():
        row = unfinished_cleanup() or cleanup_create(
            trigger=CleanUp.Trigger.BUTTON, requested_by=requested_by
        )
        transaction.on_commit(clean_up.delay)
        transaction.on_commit(tell)
    return row


def cleanup_run(*, requested_by: User | None) -> CleanUp:
    """Clean up now, in this process, and return how it went. Raises `AlreadyCleaning`."""
    with cleaning_lock() as held:
        if not held:
            raise AlreadyCleaning("Another clean-up is at work. Try again in a moment.")
        row = cleanup_create(
            trigger=CleanUp.Trigger.COMMAND,
            status=CleanUp.Status.RUNNING,
            requested_by=requested_by,
        )
        clean(row)
    return row


def survey_request(known: Survey | None) -> bool:
    """Have the disk looked at unless what is known of it is fresh enough: whether it is asked."""
    if known is not None and timezone.now() - known.taken_at < STALE:
        return False
    survey_storage.delay()
    return True
