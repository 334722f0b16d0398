"""Work behind the pages that has to do with Mist itself."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from apps.system import dashboard


@shared_task  # type: ignore[untyped-decorator]
def settle_dashboard() -> None:
    """Lead the dashboard's name where it leads now."""
    try:
        dashboard.settle_dashboard()
    finally:
        connection.close()
