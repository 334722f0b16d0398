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
RETRY_SECONDS = "5"
"""After which visitors of an app that makes way are told to come again."""


def probe_host(container_name: str) -> str:
    """The name under which the probe entry point knows a container."""
    return f"{container_name}.mist.internal"


def probe_labels(
    *,
    container_name: str,
    service: str,
    port: int,
    network: str,
    instance: str,
    own: str = "",
) -> dict[str, str]:
    """All labels that make Traefik know a container. Where several share the `service`, `own` is
    the name of one that leads to this container alone: that is what is probed."""
    own = own or service
    router = f"traefik.http.routers.{own}-probe"
    middleware = f"{own}-probe"
    return {
        f"traefik.http.services.{own}.loadbalancer.server.port": str(port),
        "mist.instance": instance,
        "traefik.enable": "true",
        "traefik.docker.network": network,
        f"traefik.http.services.{service}.loadbalancer.server.port": str(port),
        f"{router}.entrypoints": "probe",
        f"{router}.rule": f"Host(`{probe_host(container_name)}`)",
        f"{router}.service": own,
        f"{router}.middlewares": middleware,
        f"traefik.http.middlewares.{middleware}.headers.customresponseheaders."
        f"{PROBE_HEADER}": service,
    }


def closed_service(router: str) -> str:
    """What a router leads to while its app is away: a service without servers."""
    return f"{router}-closed"


def closed_routes(*, app: str, hosts: Sequence[str]) -> dict[str, Any]:
    """As `app_routes`, for an app that is away for a moment: 503, and when to ask again."""
    routes = app_routes(app=app, service="", hosts=hosts)
    if not routes:
        return {}
    router = f"app-{app}"
    closed = closed_service(router)
    routes["http"]["routers"][router] |= {"service": closed, "middlewares": [closed]}
    routes["http"]["services"] = {closed: {"loadBalancer": {"servers": []}}}
    headers = {"customResponseHeaders": {"Retry-After": RETRY_SECONDS, "Cache-Control": "no-store"}}
    routes["http"]["middlewares"] = {closed: {"headers": headers}}
    return routes


def app_routes(
    *, app: str, service: str, hosts: Sequence[str], containers: int = 1
) -> dict[str, Any]:
    """The app's dynamic file; empty when it has no host name. Of several containers, a request that
    one does not take, since it is ending or not listening yet, goes to another; Traefik does that
    only as long as nothing of the request was sent.

    Raises `InvalidSource` (a `ValueError`) for anything that is not a plain host name, so no name
    can end its quotes and add a rule of its own.
    """
    names = [check_host_name(host) for host in hosts]
    if not names:
        return {}
    router: dict[str, Any] = {
        "entryPoints": ["web"],
        "rule": " || ".join(f"Host(`{name}`)" for name in names),
        "service": f"{service}@docker",
    }
    http: dict[str, Any] = {"routers": {f"app-{app}": router}}
    if containers > 1:
        router["middlewares"] = [f"app-{app}-retry"]
        # The next try takes the next server in turn, which may be the same one again while others
        # ask too: with one of three down, 3 tries lost 1 request in 10 and 9 tries none.
        retry = {"attempts": 3 * containers, "initialInterval": "10ms"}
        http["middlewares"] = {f"app-{app}-retry": {"retry": retry}}
    return {"http": http}
