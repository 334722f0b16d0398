"""Work behind the pages that has to do with host names."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from apps.domains import checking


@shared_task  # type: ignore[untyped-decorator]
def check_due_names() -> None:
    """Ask the DNS for names whose time has come."""
    try:
        checking.check_due()
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def check_name(host: str) -> None:
    """Ask the DNS for one name now."""
    try:
        checking.check_name(host)
    finally:
        connection.close()
