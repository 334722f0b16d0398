"""Where a request comes from, and how."""

from __future__ import annotations

import functools
import ipaddress
import socket
import time

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LOOK_UP_SECONDS = 30
"""For how long the addresses of `MIST_PROXY_HOST` are believed."""


def client_address(request: HttpRequest) -> str | None:
    """The address of who asks; None where it is none that is known (a socket file).

    What `X-Forwarded-For` says counts only as far as trusted proxies wrote it: each adds whom it
    heard from at the right, so the first from the right that is no trusted proxy is the client.
    What stands left of it anybody may have written.
    """
    found = _address(request.META.get("REMOTE_ADDR", ""))
    if found is None:
        return None
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "")
    for hop in reversed(hops.split(",")) if hops else ():
        before = _address(hop)
        if before is None or not _is_proxy(found):
            break
        found = before
    return str(found)


def came_by_https(peer: str, forwarded: str) -> bool:
    """Whether the browser of a request came by HTTPS: what `X-Forwarded-Proto` says counts only
    where the connection is a trusted proxy's; everywhere where `MIST_URL` says HTTPS, since whoever
    lies then gains nothing, and a proxy that nobody named would send browsers in a circle. Mist's
    own port speaks plain HTTP. Traefik says `wss` of a WebSocket."""
    if forwarded.partition(",")[0].strip().lower() not in ("https", "wss"):
        return False
    if settings.MIST_HTTPS:
        return True
    found = _address(peer)
    return found is not None and _is_proxy(found)


def _address(text: str) -> Address | None:
    """The address in `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1` or `[2001:db8::1]:4711`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # 127.0.0.1 as a socket for both kinds of addresses tells it.
    return getattr(found, "ipv4_mapped", None) or found


def _is_proxy(address: Address) -> bool:
    if any(address in network for network in _trusted(tuple(settings.MIST_TRUSTED_PROXIES))):
        return True
    # Traefik on this machine connects from the address that Mist listens on, if that is just one.
    if str(address) == settings.MIST_BIND:
        return True
    host = settings.MIST_ENGINE_CONFIG.proxy_host
    return bool(host) and str(address) in _addresses_of(host, int(time.time() / LOOK_UP_SECONDS))


@functools.lru_cache(maxsize=4)
def _trusted(
    networks: tuple[str, ...],
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)


@functools.lru_cache(maxsize=2)
def _addresses_of(host: str, moment: int) -> frozenset[str]:
    """Where the proxy's container is: it gets another address when it is made anew."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None))
    except OSError:
        return frozenset()
