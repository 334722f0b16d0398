"""By which addresses visitors reach this server.

The machine knows its own interfaces. Behind a router or a cloud's address translation these are
private, and only somebody outside sees the public one. Mist asks nobody outside unless the operator
has named whom: over HTTPS, since a record that people are told to create follows from the answer.
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from apps.engine.machine_net import machine_addresses
from apps.engine.name_facts import OwnAddresses

logger = logging.getLogger("mist.engine")
ASK_SECONDS = 3.0
FRESH_SECONDS, FAILED_SECONDS = 3600.0, 300.0
"""For how long an answer from outside counts, and how soon one that failed is asked for again."""
_answers: dict[str, tuple[float, str]] = {}
"""Service → until when its answer counts, and the address that it said."""


def own_addresses(
    *, named: Sequence[str], known: str = "", service: str = "", own: Sequence[str] | None = None
) -> OwnAddresses:
    """The server's addresses: those that are `named`, else those of its interfaces (`own`, for a
    caller that knows them) with `known`, the host of the dashboard's address, where that is one.
    Only when none of these is a public IPv4 address, and a `service` is named, that is asked."""
    machine = machine_addresses() if own is None else list(own)
    private = tuple(one for one in machine if not _is_public(one))
    if named:
        given = tuple(str(ipaddress.ip_address(one)) for one in named)
        return OwnAddresses(_in_order(given), private, frozenset(), "MIST_PUBLIC_ADDRESSES says so")
    public = [one for one in machine if _is_public(one)]
    source = "its network interfaces have them"
    if _is_public(known) and known not in public:
        public.append(str(ipaddress.ip_address(known)))
    if not _any_v4(public) and service and (answer := ask_outside(service)):
        public.append(answer)
        source = f"{urlsplit(service).hostname} sees it"
    behind = any(not ipaddress.ip_address(one).is_loopback for one in _v4(private))
    unsure = frozenset({4}) if behind and not _any_v4(public) else frozenset()
    return OwnAddresses(_in_order(public), private, unsure, source if public else "")


def check_service(url: str) -> str:
    """An address to ask at: HTTPS, or this machine. Raises `ValueError`."""
    parts = urlsplit(url)
    is_near = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    if not parts.hostname or not (parts.scheme == "https" or is_near):
        raise ValueError("is an https:// address, for example https://checkip.amazonaws.com")
    return url


def ask_outside(service: str) -> str:
    """The public IPv4 address that the service sees Mist come from; empty when it does not say.
    Takes at most a few seconds, and once in a while."""
    until, answer = _answers.get(service, (0.0, ""))
    if time.monotonic() < until:
        return answer
    answer = _ask(service)
    keep = FRESH_SECONDS if answer else FAILED_SECONDS
    _answers[service] = (time.monotonic() + keep, answer)
    return answer


def _ask(service: str) -> str:
    parts = urlsplit(service)
    # Bound to an IPv4 address it connects over IPv4, whatever else the name has.
    way = {"port": parts.port, "timeout": ASK_SECONDS, "source_address": ("0.0.0.0", 0)}
    host = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, context=ssl.create_default_context(), **way)  # type: ignore[arg-type]
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, **way)  # type: ignore[arg-type]
    )
    try:
        connection.request("GET", parts.path or "/", headers={"Accept": "text/plain"})
        answer = connection.getresponse()
        said = answer.read(64).decode("ascii", errors="replace").strip()
        if answer.status == 200 and _is_public(said) and ":" not in said:
            return said
        logger.warning("%s was asked for this server's address and did not say", host)
    except (OSError, http.client.HTTPException) as error:
        logger.warning("%s was asked for this server's address: %s", host, type(error).__name__)
    finally:
        connection.close()
    return ""


def _is_public(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return found.is_global and not found.is_multicast


def _v4(addresses: Sequence[str]) -> list[str]:
    return [one for one in addresses if ipaddress.ip_address(one).version == 4]


def _any_v4(addresses: Sequence[str]) -> bool:
    return bool(_v4(addresses))


def _in_order(addresses: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(addresses), key=lambda one: ":" in one))
