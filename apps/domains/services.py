"""Adding and removing host names."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from apps.accounts.models import User
from apps.audit.trail import record
from apps.deployments.services import app_publish
from apps.domains.models import Domain
from apps.domains.selectors import host_holder
from apps.engine.errors import InvalidSource
from apps.engine.sources import check_host_name
from apps.projects.models import App


def domain_add(*, app: App, host: str, created_by: User | None) -> Domain:
    """Lead one more host name to the app, within a second and without restarting it.

    Raises `InvalidSource` for a name that is none, is taken, or is kept for Mist.
    """
    name = check_host_name(host)
    base = settings.MIST_BASE_DOMAIN
    with transaction.atomic():
        holder = host_holder(name)
        if holder is not None:
            raise InvalidSource(f"{name} belongs to {holder} already.")
        if name.endswith(".mist.internal"):
            raise InvalidSource("Names below mist.internal are kept for Mist itself.")
        if name.endswith(f".{base}") and "." not in name.removesuffix(f".{base}"):
            raise InvalidSource(
                f"Names directly below {base} are given out by Mist.",
                hint="Add a name of your own, for example shop.example.com.",
            )
        domain = Domain.objects.create(app=app, host=name, created_by=created_by)
        record("domain.add", domain, name=f"{app} {domain}")
        app_publish(app=app)
    return domain


def domain_remove(*, domain: Domain) -> None:
    """The host name is free again; the app is not restarted."""
    with transaction.atomic():
        app = domain.app
        record("domain.remove", domain, name=f"{app} {domain}")
        domain.delete()
        app_publish(app=app)
