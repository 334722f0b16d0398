"""An app's public routes as data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from apps.domains.selectors import engine_rules_of, routes_of
from apps.engine.backends import Backend
from apps.engine.routes import app_routes, closed_routes
from apps.engine.traffic_rules import NO_RULES
from apps.projects.models import App


def router_name(app: App) -> str:
    """The name of the app's router in Traefik."""
    return f"app-{app.pk}"


def routes_file(
    app: App,
    *,
    service: str,
    containers: int = 1,
    port: int | None = None,
    more_ports: Collection[int] = (),
    backends: Sequence[Backend] = (),
) -> dict[str, Any]:
    """All addresses of the app, leading to one deployment's service of so many containers, or to
    `backends`. Those of a port that it has no service for wait for the next deployment."""
    rules = engine_rules_of(app)
    routes = [
        replace(one, port=None) if one.port == port else one
        for one in routes_of(app, rules)
        if one.port in (None, port) or one.port in more_ports
    ]
    return app_routes(
        app=str(app.pk),
        service=service,
        routes=routes,
        containers=containers,
        rules=rules.get(None, NO_RULES),
        backends=backends,
    )


def closed_routes_file(app: App) -> dict[str, Any]:
    """All addresses of the app, leading to the word that it is back in a moment."""
    rules = engine_rules_of(app)
    routes = routes_of(app, rules)
    return closed_routes(app=str(app.pk), routes=routes, rules=rules.get(None, NO_RULES))
