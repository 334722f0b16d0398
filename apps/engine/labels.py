"""What Traefik reads of a container: its labels.

They say where it is, and only the internal `probe` entry point leads to them; which host names lead
there an app's file says (`routes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypedDict

from apps.engine.backends import STICKY, service_of

PROBE_HEADER = "X-Mist-Probe"
"""Answers that went through a container's probe router carry it; Traefik's own 404 does not."""
_READS = "traefik."
_ROUTER = re.compile(r"traefik\.http\.routers\.([a-z0-9-]+-probe)\.rule")


def foreign_labels(found: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    """Labels among those of a container that Traefik reads and nobody gave it: its image brought
    them. They could lead any host name there, or its visitors into Traefik itself."""
    # Traefik does not tell capitals from small letters.
    return sorted(name for name in found if name.casefold().startswith(_READS) and name not in own)


def probe_router(labels: Mapping[str, str]) -> str:
    """What Traefik calls the router that `probe_labels` make; empty for other labels."""
    return next((match[1] for name in labels if (match := _ROUTER.fullmatch(name))), "")


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
    more_ports: Iterable[int] = (),
    scheme: str = "",
    sticky: bool = False,
) -> dict[str, str]:
    """All labels that make Traefik know a container. Where several share the `service`, `own` is
    the name of one that leads to this container alone: that is what is probed. Each of `more_ports`
    has a service as well, which a route may lead to. `scheme` is `h2c` where the app speaks HTTP/2
    without TLS at its `port`. `sticky`: who was sent to one of several containers comes back to it,
    by a cookie."""
    own = own or service
    more = {
        f"traefik.http.services.{service_of(service, one)}.loadbalancer.server.port": str(one)
        for one in sorted(set(more_ports) - {port})
    }
    router = f"traefik.http.routers.{own}-probe"
    middleware = f"{own}-probe"
    for one in {service, own} if scheme else ():
        more[f"traefik.http.services.{one}.loadbalancer.server.scheme"] = scheme
    if sticky:
        more |= _sticky(f"traefik.http.services.{service}.loadbalancer.sticky.cookie")
    return more | {
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


class ServiceFacts(TypedDict):
    scheme: str
    sticky: bool


def service_facts(labels: Mapping[str, str], service: str) -> ServiceFacts:
    """What `probe_labels` was told of a container's `service`, as `routes.Backend` has it."""
    of = f"traefik.http.services.{service}.loadbalancer"
    return ServiceFacts(
        scheme=labels.get(f"{of}.server.scheme", "http"),
        sticky=f"{of}.sticky.cookie.name" in labels,
    )


def _sticky(cookie: str) -> dict[str, str]:
    return {
        f"{cookie}.{name.lower()}": "true" if value is True else str(value)
        for name, value in STICKY.items()
    }
