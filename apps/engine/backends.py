"""What an app's routes lead to: a service that labels make, or containers by their addresses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

STICKY = {"name": "mist_container", "path": "/", "httpOnly": True, "sameSite": "lax"}
"""The cookie by which visitors come back to one of several containers."""


@dataclass(frozen=True)
class Backend:
    """One container that visitors are led to by its address."""

    address: str
    port: int
    more_ports: Collection[int] = ()
    scheme: str = "http"
    """Of its `port`: `h2c` where it speaks HTTP/2 there."""
    sticky: bool = False
    """Whether who was sent to it comes back to it."""

    def url(self, port: int | None) -> str:
        """Written as Traefik itself writes that of a labelled container: a visitor who keeps to one
        server keeps to it when the file leads there by address."""
        if port in (None, self.port):
            return f"{self.scheme}://{self.address}:{self.port}"
        return f"http://{self.address}:{port}"

    def has(self, port: int | None) -> bool:
        return port in (None, self.port, *self.more_ports)


def service_of(service: str, port: int | None) -> str:
    """Traefik's name for another port of the same containers."""
    return service if port is None else f"{service}-p{port}"


def rolling_service(router: str) -> str:
    """What a router leads to while its app's containers are replaced one by one."""
    return f"{router}-rolling"


def rolling_services(
    rolling: str, backends: Sequence[Backend], ports: Collection[int | None]
) -> dict[str, Any]:
    """The services of that name: one for each port that some route leads to, None for the first one
    of each container."""
    return {service_of(rolling, port): _balancer(backends, port) for port in ports}


def _balancer(backends: Sequence[Backend], port: int | None) -> dict[str, Any]:
    servers = [{"url": one.url(port)} for one in backends if one.has(port)]
    # As labels say it, who wants it for its first port alone.
    if port is None and any(one.sticky for one in backends):
        return {"loadBalancer": {"servers": servers, "sticky": {"cookie": STICKY}}}
    return {"loadBalancer": {"servers": servers}}
