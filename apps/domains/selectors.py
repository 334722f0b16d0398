"""Reading host names."""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet

from apps.domains.models import Domain
from apps.projects.models import App


def hosts_of(app: App) -> list[str]:
    """Every host name that leads to the app, its own address first."""
    return [app.host, *app.domains.values_list("host", flat=True)]


def domains_of(app: App) -> QuerySet[Domain]:
    return Domain.objects.filter(app=app).order_by("host")


def host_holder(host: str) -> str | None:
    """Who has the host name already: a sentence's subject, or None when it is free."""
    domain = Domain.objects.select_related("app__project").filter(host=host).first()
    if domain is not None:
        return f"the app {domain.app}"
    base = settings.MIST_BASE_DOMAIN
    if host.endswith(f".{base}"):
        app = App.objects.select_related("project").filter(label=host.removesuffix(f".{base}"))
        if found := app.first():
            return f"the app {found}"
    if host == base:
        return "Mist itself"
    return None
