"""Asking the DNS about a name: its addresses, where its CNAME records lead, its zone, its CAA.

Questions go to recursive servers, which ask the zone's own ones. Every server is asked once or
twice and all of it ends in `SECONDS`, whatever the network does; nothing is raised, what was not
answered is a fact of its own.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.CAA import CAA

from apps.engine.name_facts import CaaRecord, Lookup, NameFacts, Outcome, Server
from apps.engine.routes import WILD

SECONDS = 12.0
"""For all questions about one name together."""
TRY_SECONDS = 2.0
TRIES = 2
MOST_ALIASES = 12
_NO_SERVER = "This machine has no DNS server set (/etc/resolv.conf)."


def system_servers() -> list[Server]:
    """The DNS servers that this machine uses."""
    try:
        found = dns.resolver.Resolver(configure=True)
    except (dns.exception.DNSException, OSError):
        return []
    return [(str(one), found.port) for one in found.nameservers if isinstance(one, str)]


def look_up(host: str, servers: Sequence[Server]) -> NameFacts:
    """All that Mist wants to know of a host name, or of the wildcard `*.…`."""
    asking = _Asking(servers, time.monotonic() + SECONDS)
    below = host.removeprefix(WILD)
    # A made-up label: who has records for some names only has no wildcard.
    name = f"{secrets.token_hex(6)}.{below}" if host != below else host
    v4, v6 = asking.addresses(name, "A"), asking.addresses(name, "AAAA")
    facts = NameFacts(host, v4, v6)
    if not (v4.outcome.is_answer or v6.outcome.is_answer):
        return facts
    facts = replace(facts, zone=asking.zone(below))
    return _with_caa(facts, asking, below)


def _with_caa(facts: NameFacts, asking: _Asking, name: str) -> NameFacts:
    """The records that a certificate authority would find: it climbs to the top-level domain."""
    labels = name.split(".")
    for at in range(len(labels)):
        where = ".".join(labels[at:])
        outcome, records = asking.caa(where)
        if not outcome.is_answer:
            return replace(facts, caa_at=where, caa_failed=True)
        if records:
            return replace(facts, caa=records, caa_at=where)
    return facts


class _Asking:
    """Questions that share one time limit."""

    def __init__(self, servers: Sequence[Server], until: float) -> None:
        self._servers = servers
        self._until = until

    def addresses(self, name: str, kind: str) -> Lookup:
        """Addresses of the name, also through CNAME records whose end the server did not follow."""
        chain: list[str] = []
        asked = name
        while True:
            message, problem = self._ask(asked, kind)
            if message is None:
                return self._unanswered(name, chain, problem)
            found = _read(message, asked, kind)
            chain += found.chain
            if len(chain) > MOST_ALIASES or len({name, *chain}) <= len(chain):
                return Lookup(Outcome.LOOP, chain=tuple(chain))
            if found.outcome is Outcome.EMPTY and found.chain and not found.zone:
                asked = chain[-1]
                continue
            return replace(found, chain=tuple(chain))

    def _unanswered(self, name: str, chain: list[str], problem: Lookup) -> Lookup:
        """Servers call a circle of CNAME records a failure of theirs: walk it to tell."""
        if problem.outcome is Outcome.FAILED:
            walked, here = list(chain), chain[-1] if chain else name
            while len(walked) <= MOST_ALIASES:
                message, _ = self._ask(here, "CNAME")
                targets = _read(message, here, "CNAME").values if message is not None else ()
                if not targets:
                    break
                here = targets[0]
                walked.append(here)
                if here == name or here in walked[:-1]:
                    return Lookup(Outcome.LOOP, chain=tuple(walked))
            chain = walked
        return replace(problem, chain=tuple(chain))

    def zone(self, name: str) -> str:
        """The zone that the name is in: whoever has no such record names it beside that."""
        message, _ = self._ask(name, "SOA")
        for section in (message.answer, message.authority) if message is not None else ():
            for rrset in section:
                owner = _text(rrset.name)
                if rrset.rdtype == dns.rdatatype.SOA and _is_within(name, owner):
                    return owner
        return ""

    def caa(self, name: str) -> tuple[Outcome, tuple[CaaRecord, ...]]:
        message, problem = self._ask(name, "CAA")
        if message is None:
            return problem.outcome, ()
        found = [
            CaaRecord(bool(record.flags & 0x80), record.tag.decode().lower(), _shown(record.value))
            for rrset in message.answer
            for record in rrset
            if isinstance(record, CAA)
        ]
        return Outcome.FOUND if found else Outcome.EMPTY, tuple(found)

    def _ask(self, name: str, kind: str) -> tuple[dns.message.Message | None, Lookup]:
        """The first answer of any server; without one, why there is none."""
        problem = Lookup(Outcome.SILENT, detail=_NO_SERVER if not self._servers else "")
        try:
            query = dns.message.make_query(dns.name.from_text(f"{name}."), kind, use_edns=0)
        except dns.exception.DNSException as error:
            return None, Lookup(Outcome.FAILED, detail=f"{error}")
        for address, port in [*self._servers] * TRIES:
            left = self._until - time.monotonic()
            if left <= 0:
                break
            seconds = min(TRY_SECONDS, left)
            try:
                message, _ = dns.query.udp_with_fallback(query, address, seconds, port)
            except dns.exception.Timeout:
                silent = f"{address} did not answer."
                problem = problem if problem.detail else Lookup(Outcome.SILENT, detail=silent)
                continue
            except (dns.exception.DNSException, OSError, ValueError) as error:
                said = f"{address} could not be asked ({type(error).__name__})."
                problem = Lookup(Outcome.FAILED, detail=said)
                continue
            if message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return message, problem
            word = dns.rcode.to_text(message.rcode())
            problem = Lookup(Outcome.FAILED, detail=f"{address} answered {word}.")
        return None, problem


# ------------------------------------------------------------------------------------------ parts


def _read(message: dns.message.Message, name: str, kind: str) -> Lookup:
    """An answer, with the CNAME records that it follows."""
    wanted = dns.rdatatype.from_text(kind)
    records = {(_text(rrset.name), rrset.rdtype): rrset for rrset in message.answer}
    here, chain, ttls = name, list[str](), list[int]()
    while (here, wanted) not in records and (here, dns.rdatatype.CNAME) in records:
        alias = records[here, dns.rdatatype.CNAME]
        ttls.append(alias.ttl)
        here = _text(alias[0].target)
        met = here == name or here in chain
        chain.append(here)
        if met:
            break
    found = records.get((here, wanted))
    if found is not None:
        values = tuple(sorted(_value(one) for one in found))
        return Lookup(Outcome.FOUND, values, tuple(chain), ttl=min([found.ttl, *ttls]))
    gone = message.rcode() == dns.rcode.NXDOMAIN
    zone, ttl = _denial(message)
    outcome = Outcome.NO_NAME if gone else Outcome.EMPTY
    return Lookup(outcome, chain=tuple(chain), ttl=min([ttl, *ttls]), zone=zone)


def _denial(message: dns.message.Message) -> tuple[str, int]:
    """Which zone says that there is nothing, and for how long that counts (RFC 2308)."""
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            return _text(rrset.name), min(rrset.ttl, rrset[0].minimum)
    return "", 0


def _value(record: object) -> str:
    target = getattr(record, "target", None)
    return _text(target) if target is not None else str(getattr(record, "address", ""))


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _is_within(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def _shown(value: bytes) -> str:
    return value.decode("ascii", errors="replace")
