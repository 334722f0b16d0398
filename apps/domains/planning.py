"""An app's public routes as data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from apps.domains.addresses import Addresses
from apps.engine.backends import Backend
from apps.engine.routes import app_routes, closed_routes
from apps.projects.models import App


def router_name(app: App) -> str:
    """The name of the app's router in Traefik."""
    return f"app-{app.pk}"


def routes_file(
    addresses: Addresses,
    *,
    service: str,
    containers: int = 1,
    port: int | None = None,
    more_ports: Collection[int] = (),
    backends: Sequence[Backend] = (),
) -> dict[str, Any]:
    """All of the addresses, leading to one deployment's service of so many containers, or to
    `backends`. Those of a port that it has no service for wait for the next deployment."""
    routes = [
        replace(one, port=None) if one.port == port else one
        for one in addresses.routes
        if one.port in (None, port) or one.port in more_ports
    ]
    return app_routes(
        app=str(addresses.app.pk),
        service=service,
        routes=routes,
        containers=containers,
        rules=addresses.rules,
        backends=backends,
    )


def closed_routes_file(addresses: Addresses) -> dict[str, Any]:
    """All of the addresses, leading to the word that the app is back in a moment."""
    app = str(addresses.app.pk)
    return closed_routes(app=app, routes=addresses.routes, rules=addresses.rules)
