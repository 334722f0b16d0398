"""The way to Mist's own pages by a name, as the file that Traefik reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.engine.sources import check_host_name

ROUTER = "mist-dashboard"
PRIORITY = 3_000
"""Above all routes of apps: no app takes the dashboard's name."""
CONTAINERS = "dashboard@docker"
"""What the labels of `compose.yaml` call the containers of the pages."""


def dashboard_routes(*, hosts: Sequence[str], url: str = "") -> dict[str, Any]:
    """The dashboard's dynamic file; empty without hosts. Mist's pages are at `url`, or without one
    in the containers that say so. Raises `InvalidSource` for what is no plain host name."""
    if not hosts:
        return {}
    rule = " || ".join(f"Host(`{check_host_name(host)}`)" for host in hosts)
    service = ROUTER if url else CONTAINERS
    router = {"entryPoints": ["web"], "rule": rule, "priority": PRIORITY, "service": service}
    # A twin on the entry point `websecure` has its place here, once the name has a certificate.
    http: dict[str, Any] = {"routers": {ROUTER: router}}
    if url:
        http["services"] = {ROUTER: {"loadBalancer": {"servers": [{"url": url}]}}}
    return {"http": http}
