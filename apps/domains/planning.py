"""An app's public routes as data."""

from __future__ import annotations

from typing import Any

from apps.domains.selectors import hosts_of
from apps.engine.labels import app_routes, closed_routes
from apps.projects.models import App


def router_name(app: App) -> str:
    """The name of the app's router in Traefik."""
    return f"app-{app.pk}"


def routes_file(app: App, *, service: str, containers: int = 1) -> dict[str, Any]:
    """All host names of the app, leading to one deployment's service of so many containers."""
    return app_routes(app=str(app.pk), service=service, hosts=hosts_of(app), containers=containers)


def closed_routes_file(app: App) -> dict[str, Any]:
    """All host names of the app, leading to the word that it is back in a moment."""
    return closed_routes(app=str(app.pk), hosts=hosts_of(app))
