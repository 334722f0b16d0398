"""For which names certificates are asked, and of whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from apps.engine.acme import HTTP_RESOLVER
from apps.engine.routes import WILD

NOT_PUBLIC = frozenset({"localhost", "local", "internal", "test", "example", "invalid", "onion"})
"""Top-level names that no public issuer knows (RFC 6761, RFC 6762, RFC 7686)."""


def resolver_for(host: str) -> str:
    """Which of Traefik's resolvers shall get a certificate for the name or wildcard; empty while
    none should be asked for."""
    return resolvers_for([host])[host]


def resolvers_for(hosts: Iterable[str]) -> dict[str, str]:
    """As `resolver_for`, for all of them at once."""
    return {host: HTTP_RESOLVER if is_public_name(host) else "" for host in hosts}


def is_public_name(host: str) -> bool:
    """Whether a public issuer could prove who has that very name. A wildcard needs another way."""
    if host.startswith(WILD) or "." not in host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.rpartition(".")[2] not in NOT_PUBLIC
    return False
