"""Where a repository's address leads: what decides whether a credential is for it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80, "ssh": 22}


@dataclass(frozen=True)
class Place:
    """A server: two repositories at the same place may share a credential."""

    scheme: str
    """`https`, `http` or `ssh`."""
    host: str
    """In lower case; an IPv6 address without brackets."""
    port: int


def place_of(url: str) -> Place:
    """Of an address that `check_repository_url` has returned."""
    if "://" not in url:
        host = url.partition("@")[2]
        host = host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
        return Place("ssh", host.strip("[]").rstrip("."), 22)
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return Place(parts.scheme, host, parts.port or _PORTS[parts.scheme])


def is_near(host: str) -> bool:
    """Whether every address of the host is one of this machine or of a private network. Asks the
    name service."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(
        not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_global for *_, where in found
    )
