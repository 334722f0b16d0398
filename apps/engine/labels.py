"""What Traefik reads: labels of a container, and an app's file of public routes.

Labels say where a container is, and only the internal `probe` entry point leads to them; the file
says which host names lead there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.engine.sources import check_host_name

PROBE_HEADER = "X-Mist-Probe"
"""Answers that went through a container's probe router carry it; Traefik's own 404 does not."""


def probe_host(container_name: str) -> str:
    """The name under which the probe entry point knows a container."""
    return f"{container_name}.mist.internal"


def probe_labels(
    *, container_name: str, service: str, port: int, network: str, instance: str
) -> dict[str, str]:
    """All labels that make Traefik know a container."""
    router = f"traefik.http.routers.{service}-probe"
    middleware = f"{service}-probe"
    return {
        "mist.instance": instance,
        "traefik.enable": "true",
        "traefik.docker.network": network,
        f"traefik.http.services.{service}.loadbalancer.server.port": str(port),
        f"{router}.entrypoints": "probe",
        f"{router}.rule": f"Host(`{probe_host(container_name)}`)",
        f"{router}.service": service,
        f"{router}.middlewares": middleware,
        f"traefik.http.middlewares.{middleware}.headers.customresponseheaders."
        f"{PROBE_HEADER}": service,
    }


def app_routes(*, app: str, service: str, hosts: Sequence[str]) -> dict[str, Any]:
    """The app's dynamic file; empty when it has no host name.

    Raises `InvalidSource` (a `ValueError`) for anything that is not a plain host name, so no name
    can end its quotes and add a rule of its own.
    """
    names = [check_host_name(host) for host in hosts]
    if not names:
        return {}
    return {
        "http": {
            "routers": {
                f"app-{app}": {
                    "entryPoints": ["web"],
                    "rule": " || ".join(f"Host(`{name}`)" for name in names),
                    "service": f"{service}@docker",
                }
            }
        }
    }
