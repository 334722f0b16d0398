"""Work on the disk that runs behind the pages."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from apps.storage import cleaning


@shared_task  # type: ignore[untyped-decorator]
def clean_up() -> None:
    """Carry out the clean-ups that wait."""
    try:
        cleaning.clean_waiting()
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def survey_storage() -> None:
    """Look at the disk."""
    try:
        cleaning.survey_unless_fresh()
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def tidy_storage() -> None:
    """Do what the schedule asks for."""
    try:
        cleaning.tidy()
    finally:
        connection.close()
