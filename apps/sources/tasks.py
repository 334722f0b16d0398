"""Work behind the pages that has to do with Git hosts and registries."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from apps.sources import registry_checks, reporting
from apps.sources.retention import deliveries_forget


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


@shared_task  # type: ignore[untyped-decorator]
def try_registry(pk: int) -> None:
    """Find out whether a login works."""
    try:
        registry_checks.try_login(pk)
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def check_image(app_pk: int) -> None:
    """Find out what an app's image is at its registry by now."""
    try:
        registry_checks.check_image(app_pk)
    finally:
        connection.close()
