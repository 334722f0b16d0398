"""What people ask of the disk."""

from __future__ import annotations

import datetime as dt
import logging

from django.db import transaction
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.tasks import wake
from apps.storage.cleaning import clean, cleaning_lock, cleanup_create, tell
from apps.storage.models import CleanUp, Survey
from apps.storage.selectors import unfinished_cleanup, waiting_cleanup
from apps.storage.tasks import clean_up, survey_storage

logger = logging.getLogger("mist.storage")
STALE = dt.timedelta(seconds=60)
"""A page that is opened has the disk looked at again when that was longer ago."""


class AlreadyCleaning(Exception):
    """Another clean-up is at work."""


def cleanup_request(*, requested_by: User | None) -> CleanUp:
    """Queue a clean-up; the one that waits or is at work already when there is one."""
    with cleaning_lock() as held:
        at_work = not held
    with transaction.atomic():
        row = unfinished_cleanup()
        if row is None or (row.status == CleanUp.Status.RUNNING and not at_work):
            # One whose process has died is over, and nobody has said so yet.
            row = waiting_cleanup() or cleanup_create(
                trigger=CleanUp.Trigger.BUTTON, requested_by=requested_by
            )
        transaction.on_commit(lambda: wake(clean_up))
        transaction.on_commit(tell)
    return row


def cleanup_run(*, requested_by: User | None) -> CleanUp:
    """Clean up now, in this process, and return how it went, whether or not the database could
    take that up. Raises `AlreadyCleaning`."""
    with cleaning_lock() as held:
        if not held:
            raise AlreadyCleaning("Another clean-up is at work. Try again in a moment.")
        row = CleanUp(trigger=CleanUp.Trigger.COMMAND, requested_by=requested_by)
        try:
            row = cleanup_create(
                trigger=CleanUp.Trigger.COMMAND,
                status=CleanUp.Status.RUNNING,
                requested_by=requested_by,
            )
        except DatabaseError as error:
            # The disk may be full, and this is what makes room.
            logger.warning("A clean-up without a row: %s", error)
        try:
            clean(row)
        except DatabaseError as error:
            logger.warning("How the clean-up ended cannot be written down: %s", error)
    return row


def survey_request(known: Survey | None) -> bool:
    """Have the disk looked at unless what is known of it is fresh enough: whether it is asked."""
    if known is not None and timezone.now() - known.taken_at < STALE:
        return False
    wake(survey_storage)
    return True
