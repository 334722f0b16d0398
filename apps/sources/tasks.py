"""Work behind the pages that has to do with Git hosts."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from apps.sources import reporting
from apps.sources.deliveries import deliveries_forget


@shared_task  # type: ignore[untyped-decorator]
def forget_deliveries() -> None:
    """Delete deliveries that are a week old."""
    try:
        deliveries_forget()
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def send_reports() -> None:
    """Tell GitHub what it does not know yet of deployments."""
    try:
        reporting.send_due()
    finally:
        connection.close()
