"""Work behind the pages that has to do with host names and their certificates."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from apps.deployments.tasks import apply_wishes, publish_routes, wake
from apps.domains import checking, serving
from apps.domains.warning import warn_by_mail
from apps.engine.errors import EngineError
from apps.system.names import ask_for_address


@shared_task  # type: ignore[untyped-decorator]
def check_due_names() -> None:
    """Ask the DNS for names whose time has come, and before that by which address this server is
    seen: some of them follow from it."""
    try:
        if ask_for_address():
            wake(publish_routes, settle_certificates)
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


@shared_task  # type: ignore[untyped-decorator]
def settle_certificates() -> None:
    """Have served what should be, look at it, and tell of what ends."""
    try:
        if serving.settle():
            wake(apply_wishes)
        warn_by_mail()
    except EngineError as error:
        serving.log_trouble(error)
    finally:
        connection.close()


@shared_task  # type: ignore[untyped-decorator]
def look_at_certificates() -> None:
    """Look at what it is time for."""
    try:
        if serving.look_at_due():
            wake(apply_wishes)
    finally:
        connection.close()
