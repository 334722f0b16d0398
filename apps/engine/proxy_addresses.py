"""Where Traefik's entry points listen: the public ones where they are told, the inner ones never
where anybody else could ask them."""

from __future__ import annotations

import ipaddress
import re

from apps.engine.data import EngineConfig
from apps.engine.errors import ProxyUnavailable

LOOPBACK = "127.0.0.1"
_NAME = re.compile(r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z][A-Za-z0-9_-]*")


def public_address(config: EngineConfig) -> str:
    """What stands before a colon and a port; empty for all addresses there are."""
    try:
        everywhere = ipaddress.ip_address(config.bind).is_unspecified
    except ValueError:
        everywhere = False
    return "" if everywhere else _before_port(config.bind)


def inner_address(config: EngineConfig) -> str:
    """The one of the inner entry points, for health checks and for Traefik's own API: this
    machine's loopback, or that of a Traefik in a container, in the network of Mist's own parts. In
    the networks of projects, which it shares with their containers, it is not.

    Raises `ProxyUnavailable` for anything that could stand for several addresses.
    """
    host = config.proxy_host
    if not host:
        return LOOPBACK
    if _NAME.fullmatch(host):
        return host
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        address = None
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped is None or mapped.is_unspecified or mapped.is_multicast:
        raise ProxyUnavailable(
            f"MIST_PROXY_HOST is no one machine's name or address: {host!r}.",
            hint="Leave it empty for the Traefik that Mist starts itself.",
        )
    return _before_port(str(address))


def _before_port(address: str) -> str:
    return f"[{address}]" if ":" in address else address
