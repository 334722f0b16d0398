"""Whether a name leads to this server, decided from what the DNS says and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from apps.engine.name_facts import CaaRecord, NameFacts, Outcome, OwnAddresses
from apps.engine.proxy_ranges import is_cloudflare
from apps.engine.routes import WILD

ISSUER = "letsencrypt.org"
"""What CAA records call the authority that certificates are asked of."""
METHOD = "http-01"


class NameState(StrEnum):
    """Where a name leads."""

    HERE = "here"
    PROXIED = "proxied"
    """To a proxy that hides which server is behind it."""
    PRIVATE = "private"
    """To this server, within its own network."""
    PARTLY = "partly"
    """Some of its addresses lead here, others do not."""
    ELSEWHERE = "elsewhere"
    MISSING = "missing"
    """To no address."""
    LOOP = "loop"
    UNANSWERED = "unanswered"
    """The DNS was asked and did not say."""
    UNKNOWN = "unknown"
    """To an address of which nobody told whether it is this server's."""


class CaaState(StrEnum):
    """What CAA records mean for a certificate of `ISSUER`."""

    ALLOWS = ""
    FORBIDS = "forbids"
    OTHER_METHOD = "other-method"
    """It may issue, but not after `METHOD`."""
    UNREADABLE = "unreadable"
    """They could not be asked for, which authorities take for a no."""


@dataclass(frozen=True)
class Verdict:
    state: NameState
    wrong: tuple[str, ...] = ()
    """Addresses that lead elsewhere."""
    reason: Outcome = Outcome.FOUND
    """Of a name without addresses, or without an answer: why."""
    detail: str = ""
    caa: CaaState = CaaState.ALLOWS


def decide(facts: NameFacts, own: OwnAddresses) -> Verdict:
    """Where the name leads."""
    state, wrong = _state(facts, own)
    trouble = next((one for one in (facts.v4, facts.v6) if not one.outcome.is_answer), facts.v4)
    reason = trouble.outcome
    if state is NameState.MISSING and Outcome.EMPTY in (facts.v4.outcome, facts.v6.outcome):
        # Some servers say of a type alone that the name does not exist.
        reason = Outcome.EMPTY
    return Verdict(state, wrong, reason, trouble.detail, caa_state(facts))


def _state(facts: NameFacts, own: OwnAddresses) -> tuple[NameState, tuple[str, ...]]:
    lookups = (facts.v4, facts.v6)
    found = [value for one in lookups for value in one.values]
    kinds = {address: _kind(address, own) for address in found}
    wrong = tuple(address for address in found if kinds[address] == _WRONG)
    seen = set(kinds.values())
    if any(one.outcome is Outcome.LOOP for one in lookups):
        return NameState.LOOP, wrong
    if wrong:
        return (NameState.ELSEWHERE if seen <= {_WRONG, _UNSURE} else NameState.PARTLY), wrong
    if not all(one.outcome.is_answer for one in lookups):
        return NameState.UNANSWERED, ()
    if not found:
        return NameState.MISSING, ()
    if _UNSURE in seen:
        return NameState.UNKNOWN, ()
    if _PRIVATE in seen:
        return (NameState.PRIVATE if seen == {_PRIVATE} else NameState.PARTLY), tuple(
            address for address in found if seen != {_PRIVATE} and kinds[address] == _PRIVATE
        )
    return (NameState.PROXIED if seen == {_PROXY} else NameState.HERE), ()


_OWN, _PROXY, _PRIVATE, _UNSURE, _WRONG = "own", "proxy", "private", "unsure", "wrong"


def _kind(address: str, own: OwnAddresses) -> str:
    """What an address is to this server."""
    if address in own.public:
        return _OWN
    if is_cloudflare(address):
        return _PROXY
    parsed = ipaddress.ip_address(address)
    if address in own.private or parsed.is_loopback:
        return _PRIVATE
    return _UNSURE if parsed.version in own.unsure and parsed.is_global else _WRONG


def caa_state(facts: NameFacts, issuer: str = ISSUER) -> CaaState:
    """Whether the records let the issuer make a certificate for the name (RFC 8659, RFC 8657)."""
    if facts.caa_failed:
        return CaaState.UNREADABLE
    if any(one.critical and one.tag not in _KNOWN_TAGS for one in facts.caa):
        return CaaState.FORBIDS
    tags = ["issue"]
    if facts.host.startswith(WILD) and any(one.tag == "issuewild" for one in facts.caa):
        tags = ["issuewild"]
    wanted = [one for one in facts.caa if one.tag in tags]
    if not wanted:
        return CaaState.ALLOWS
    mine = [one for one in wanted if _issuer_of(one) == issuer]
    if not mine:
        return CaaState.FORBIDS
    return CaaState.ALLOWS if _lets_prove(mine) else CaaState.OTHER_METHOD


_KNOWN_TAGS = frozenset({"issue", "issuewild", "iodef", "issuemail", "contactemail"})


def _issuer_of(record: CaaRecord) -> str:
    return record.value.split(";")[0].strip().rstrip(".").lower()


def _lets_prove(records: Sequence[CaaRecord]) -> bool:
    """Whether one of them lets the name be proved by HTTP."""
    for record in records:
        methods = [
            value.strip().lower().split(",")
            for name, _, value in (part.partition("=") for part in record.value.split(";")[1:])
            if name.strip().lower() == "validationmethods"
        ]
        if all(METHOD in [method.strip() for method in named] for named in methods):
            return True
    return False
