"""A DNS server on loopback: zones in memory, real packets, and every way to be wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL = 300
MOST = 16


@dataclass
class DnsHost:
    """Answers as a recursive server does that knows these zones alone."""

    port: int
    zones: set[str] = field(default_factory=set)
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Name and type → values; a name may be `*.example.com`."""
    rcodes: dict[str, str] = field(default_factory=dict)
    """Name, or name and type as `example.com/AAAA` → SERVFAIL, REFUSED and the like."""
    silent: set[str] = field(default_factory=set)
    """Names, or names with type, that get no answer at all."""
    asked: list[str] = field(default_factory=list)
    """`example.com/A`, in the order of the questions."""

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add(self, name: str, kind: str, *values: str) -> None:
        self.records[name, kind] = list(values)

    def answer(self, packet: bytes) -> bytes | None:
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name}/{kind}")
        if {name, f"{name}/{kind}"} & self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        wrong = self.rcodes.get(f"{name}/{kind}") or self.rcodes.get(name)
        if wrong:
            response.set_rcode(dns.rcode.from_text(wrong))
        else:
            self._fill(response, name, kind)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(MOST):
            owner = self._owner(name)
            if values := self.records.get((owner, kind)):
                response.answer.append(dns.rrset.from_text(f"{name}.", TTL, "IN", kind, *values))
                return
            alias = self.records.get((owner, "CNAME"))
            if not alias or kind == "CNAME":
                break
            response.answer.append(dns.rrset.from_text(f"{name}.", TTL, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
        else:
            response.answer.clear()
            response.set_rcode(dns.rcode.SERVFAIL)
            return
        if not any(known == owner or known.endswith(f".{name}") for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        zone = next((z for z in sorted(self.zones, key=len, reverse=True) if _in(name, z)), None)
        if zone is not None:
            soa = f"ns.{zone}. admin.{zone}. 1 3600 600 86400 {TTL}"
            section = response.answer if kind == "SOA" and name == zone else response.authority
            section.append(dns.rrset.from_text(f"{zone}.", TTL, "IN", "SOA", soa))
            if name == zone:
                response.set_rcode(dns.rcode.NOERROR)

    def _owner(self, name: str) -> str:
        """The name, or the wildcard that stands for it."""
        if any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            return name
        above = name.partition(".")[2]
        wild = f"*.{above}"
        return wild if any(known == wild for known, _ in self.records) else name


def _in(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


@contextmanager
def serve_dns() -> Iterator[DnsHost]:
    """Until the block ends, on a free UDP port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(0.1)
        host = DnsHost(door.getsockname()[1])
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    packet, where = door.recvfrom(4096)
                except TimeoutError:
                    continue
                if (answer := host.answer(packet)) is not None:
                    door.sendto(answer, where)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            over.set()
            thread.join(5)
