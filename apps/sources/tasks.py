"""What runs behind the pages."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from apps.sources.deliveries import deliveries_forget


@shared_task  # type: ignore[untyped-decorator]
def forget_deliveries() -> None:
    """Delete deliveries that are a week old."""
    try:
        deliveries_forget()
    finally:
        connection.close()
