"""Work behind the pages that has to do with certificates."""

from __future__ import annotations

from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.db import connection

from apps.domains import issuance
from apps.engine.locks import try_file_lock


@shared_task  # type: ignore[untyped-decorator]
def look_after_certificates() -> None:
    """Take up what became of those that were asked for, and ask for the next ones."""
    try:
        with try_file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "certificates") as mine:
            if mine:
                issuance.look_after()
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def apply_acme_settings() -> None:
    """Have Traefik go by what was changed."""
    try:
        issuance.apply_settings()
    finally:
        connection.close()
