"""What the DNS says of a name, and which addresses this server has: as data."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum

DNS_PORT = 53
Server = tuple[str, int]
"""Address and port of a DNS server."""


class Outcome(StrEnum):
    """How one question to the DNS ended."""

    FOUND = "found"
    EMPTY = "empty"
    """The name exists, without a record of this type."""
    NO_NAME = "no-name"
    """NXDOMAIN: no such name, or the name that a CNAME leads to does not exist."""
    FAILED = "failed"
    """SERVFAIL, REFUSED and what else is no answer to the question."""
    SILENT = "silent"
    """Nobody answered in time."""
    LOOP = "loop"
    """CNAME records lead in a circle, or on and on."""

    @property
    def is_answer(self) -> bool:
        """Whether the DNS said something, be it that there is nothing."""
        return self in (Outcome.FOUND, Outcome.EMPTY, Outcome.NO_NAME)


@dataclass(frozen=True)
class Lookup:
    """One question with what came of it."""

    outcome: Outcome
    values: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    """Names that CNAME records lead through, in their order."""
    detail: str = ""
    """Of one that is no answer: what was said instead, and by whom."""
    ttl: int = 0
    """Seconds for which whoever answered may say the same again."""
    zone: str = ""
    """The zone that says there is nothing, where it does."""


@dataclass(frozen=True)
class CaaRecord:
    """Who may issue certificates (RFC 8659)."""

    critical: bool
    tag: str
    value: str


@dataclass(frozen=True)
class NameFacts:
    """What the DNS says of one name."""

    host: str
    """`*.example.com` for every name directly below, of which a made-up one was asked for."""
    v4: Lookup
    v6: Lookup
    zone: str = ""
    """The zone that the name is in, empty where that is not known."""
    caa: tuple[CaaRecord, ...] = ()
    """Of the name, or of the nearest one above it that has any."""
    caa_at: str = ""
    """Where they are, or where the question for them was not answered."""
    caa_failed: bool = False


@dataclass(frozen=True)
class OwnAddresses:
    """Addresses of this server."""

    public: tuple[str, ...] = ()
    """That visitors from everywhere reach, IPv4 first."""
    private: tuple[str, ...] = ()
    """That only this machine or its own network reaches."""
    unsure: frozenset[int] = field(default_factory=frozenset)
    """IP versions (4, 6) in which it may have public addresses that nobody told."""
    source: str = ""
    """Who says so, as a sentence's end."""

    def public_of(self, version: int) -> tuple[str, ...]:
        return tuple(one for one in self.public if ipaddress.ip_address(one).version == version)


def parse_server(text: str) -> Server:
    """`192.0.2.1`, `192.0.2.1:5353` or `[2001:db8::1]:53`. Raises `ValueError`."""
    address, port = text.strip(), str(DNS_PORT)
    if address.startswith("["):
        address, _, rest = address.removeprefix("[").partition("]")
        if rest and not rest.startswith(":"):
            raise ValueError(f"{text!r} is no address of a DNS server")
        port = rest.removeprefix(":") or port
    elif address.count(":") == 1:
        address, port = address.split(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    return str(ipaddress.ip_address(address)), int(port)
