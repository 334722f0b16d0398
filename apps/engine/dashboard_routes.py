"""The way to Mist's own pages by a name, as the file that Traefik reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.engine.routes import Route, answer_https, routers_of

ROUTER = "mist-dashboard"
ABOVE = 100_000
"""So much more its priorities are than those of apps, whose wildcards may be for its name."""
CONTAINERS = "dashboard@docker"
"""What the labels of `compose.yaml` call the containers of the pages."""
HOOKS = "/hooks"
"""Machines that were given an address below it ask no other one: they are answered where they come,
also while people are sent on to HTTPS."""


def dashboard_routes(*, routes: Sequence[Route], url: str = "") -> dict[str, Any]:
    """The dashboard's dynamic file; empty without routes, of which the first has no key. Mist's
    pages are at `url`, or without one in the containers that say so. Raises `InvalidSource` for
    what is no plain host name."""
    if not routes:
        return {}
    service = ROUTER if url else CONTAINERS
    asked = [
        Route(one.host, path=HOOKS, key=f"{one.key}hooks")
        for one in routes
        if one.https and one.https.redirects
    ]
    every = [*routes, *asked]
    http = routers_of(ROUTER, every, lambda route: service)
    for router in http["routers"].values():
        router["priority"] += ABOVE
    answer_https(http, ROUTER, every)
    if url:
        http["services"] = {ROUTER: {"loadBalancer": {"servers": [{"url": url}]}}}
    return {"http": http}
