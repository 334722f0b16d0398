"""What the DNS said of a name, in words, with what to do about it and the exact records to set.

Nothing here asks anybody: an answer goes in, sentences come out.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from apps.domains.models import NameCheck
from apps.engine.name_facts import Outcome
from apps.engine.name_state import ISSUER, CaaState, NameState
from apps.engine.routes import WILD


@dataclass(frozen=True)
class Record:
    """One record of a zone, as the forms of DNS hosts ask for it."""

    kind: str
    name: str
    """Relative to the zone: `@` for the zone's own name."""
    value: str


@dataclass(frozen=True)
class Advice:
    mark: str
    """The status mark that stands before the title."""
    title: str
    sub: str = ""
    todo: str = ""
    """What to do, in sentences; empty where there is nothing to do."""
    create: tuple[Record, ...] = ()
    remove: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()
    where: str = ""
    """The zone that the records are set in."""

    @property
    def is_toned(self) -> bool:
        return self.mark not in ("valid", "none")

    @property
    def has_more(self) -> bool:
        return bool(self.todo or self.notes)


LOCAL = Advice("none", "No DNS needed", "Leads to the machine that asks")


def advise(check: NameCheck | None) -> Advice:
    """In words; of a name that nobody has asked for yet, that this is to come."""
    if check is None or not check.state:
        return Advice("pending", "Checking DNS", "Takes a few seconds")
    found = replace(_WORDS[NameState(check.state)](check), where=_zone(check))
    return _with_apex(_with_caa(found, check), check)


# ------------------------------------------------------------------------------- state after state


def _here(check: NameCheck) -> Advice:
    return Advice("valid", "DNS points here", _how(check))


def _proxied(check: NameCheck) -> Advice:
    behind = _all(check.expected) or "this server's public address"
    return Advice(
        "valid",
        "Behind Cloudflare",
        "Cloudflare's proxy answers for it",
        notes=(
            f"Cloudflare hides where it sends visitors: see that its record there has {behind}.",
            (
                "Certificates can be issued through the proxy (HTTP-01). In Cloudflare set SSL/TLS "
                "to Full, and to Full (strict) once the certificate is there. With Flexible, a "
                "redirect to HTTPS sends visitors in a circle."
            ),
        ),
    )


def _private(check: NameCheck) -> Advice:
    return Advice(
        "valid",
        "Points here, privately",
        f"Seen: {_all(check.addresses)}",
        notes=(
            (
                "Only who is in this server's own network reaches it by this name. No authority on "
                "the internet can prove it over HTTP, so there is no public certificate that way."
            ),
        ),
    )


def _partly(check: NameCheck) -> Advice:
    wrong6 = [one for one in check.wrong if _version(one) == 6]
    if wrong6 == check.wrong and any(_version(one) == 4 for one in check.addresses):
        mine = any(_version(one) == 6 for one in check.expected)
        do = "Set it to this server's IPv6 address." if mine else "Remove it."
        return _fixed(
            check,
            Advice(
                "waiting",
                "AAAA points elsewhere",
                f"Seen: {_all(wrong6)}",
                "The A record is right, the AAAA record is not. Whoever has IPv6 tries that first "
                "and does not reach this server, and neither does the authority that a certificate "
                f"is asked of (HTTP-01). {do}",
            ),
        )
    return _fixed(
        check,
        Advice(
            "waiting",
            "Some records point elsewhere",
            f"Not this server: {_all(check.wrong)}",
            f"Of {len(check.addresses)} addresses {len(check.wrong)} "
            f"{'leads' if len(check.wrong) == 1 else 'lead'} elsewhere. Visitors reach this server "
            "only now and then, and a certificate may be refused.",
        ),
    )


def _elsewhere(check: NameCheck) -> Advice:
    through = f" The CNAME record leads to {check.chain[-1]}." if check.chain else ""
    return _fixed(
        check,
        Advice(
            "waiting",
            "DNS points elsewhere",
            f"Seen: {_all(check.addresses)}",
            f"Visitors of this name reach another server.{through}",
        ),
    )


def _missing(check: NameCheck) -> Advice:
    if check.chain:
        end = check.chain[-1]
        gone = "does not exist" if check.reason == Outcome.NO_NAME else "has no address"
        text = f"Its CNAME record leads to {end}, which {gone}."
        return _fixed(check, Advice("waiting", "CNAME leads nowhere", f"{end} {gone}", text))
    if check.reason == Outcome.NO_NAME:
        text = "No such name is known yet (NXDOMAIN)."
        if check.host.startswith(WILD):
            text = "A made-up name below it does not exist (NXDOMAIN): there is no wildcard record."
        return _fixed(check, Advice("waiting", "No DNS record yet", "NXDOMAIN", text))
    text = "The name exists, without an A or AAAA record."
    return _fixed(check, Advice("waiting", "No address record", "Neither A nor AAAA", text))


def _loop(check: NameCheck) -> Advice:
    way = " → ".join([check.host, *check.chain][:6])
    return _fixed(
        check,
        Advice(
            "error",
            "CNAME records in a circle",
            check.chain[-1] if check.chain else "",
            f"The CNAME records lead to each other and to no address: {way}.",
        ),
    )


def _unanswered(check: NameCheck) -> Advice:
    half = f" What was answered: {_all(check.addresses)}." if check.addresses else ""
    if check.reason == Outcome.SILENT:
        return Advice(
            "waiting",
            "DNS did not answer",
            check.error or "No answer in time",
            "No DNS server answered in time. Either this server cannot reach one (see "
            "/etc/resolv.conf, or set MIST_DNS_SERVERS), or those of the domain are down."
            f"{half} Mist asks again.",
        )
    return Advice(
        "waiting",
        "DNS answers with an error",
        check.error,
        "That is no answer for or against this server: the name servers of the domain are broken "
        f"or disagree, or its DNSSEC signatures are wrong.{half} Ask whoever runs them; Mist asks "
        "again.",
    )


def _unknown(check: NameCheck) -> Advice:
    own = f" ({_all(check.own[:2])})" if check.own else ""
    return Advice(
        "waiting",
        "Not known whether here",
        f"Seen: {_all(check.addresses)}",
        f"This server knows private addresses of its own only{own}, so Mist cannot tell whether "
        "that is its public one. Set MIST_PUBLIC_ADDRESSES to it, or MIST_ADDRESS_SERVICE to "
        "somebody who is asked for it (README, DNS).",
    )


_WORDS = {
    NameState.HERE: _here,
    NameState.PROXIED: _proxied,
    NameState.PRIVATE: _private,
    NameState.PARTLY: _partly,
    NameState.ELSEWHERE: _elsewhere,
    NameState.MISSING: _missing,
    NameState.LOOP: _loop,
    NameState.UNANSWERED: _unanswered,
    NameState.UNKNOWN: _unknown,
}


# ---------------------------------------------------------------------------------------- records


def _fixed(check: NameCheck, advice: Advice) -> Advice:
    """With the records that make the name lead here, and those that are in the way."""
    name = _name(check)
    right = [one for one in check.addresses if one not in check.wrong]
    remove = [Record(_kind(one), name, one) for one in check.wrong]
    if check.chain and not right:
        # A name with a CNAME record has no other.
        remove = [Record("CNAME", name, check.chain[0])]
    create = [Record(_kind(one), name, one) for one in check.expected if one not in right]
    text = advice.todo
    if not check.expected:
        text = (
            f"{text} Point it at this server's public address. Mist does not know it: whoever runs "
            "this server names it in MIST_PUBLIC_ADDRESSES, and Mist shows the records to create."
        )
    if check.ttl > 60:
        text = f"{text} DNS servers may repeat the old answer for {_span(check.ttl)}."
    return replace(advice, todo=text, create=tuple(create), remove=tuple(remove))


def _with_caa(advice: Advice, check: NameCheck) -> Advice:
    at = check.caa_at
    if check.caa == CaaState.FORBIDS:
        tag = "issuewild" if check.host.startswith(WILD) else "issue"
        text = f"CAA records of {at} do not let {ISSUER} issue a certificate. Add this one."
        record = Record("CAA", _relative(at, advice.where), f'0 {tag} "{ISSUER}"')
        todo = f"{advice.todo} {text}".strip()
        return replace(
            advice,
            mark="waiting" if advice.mark == "valid" else advice.mark,
            sub="CAA forbids the certificate" if advice.mark == "valid" else advice.sub,
            todo=todo,
            create=(*advice.create, record),
        )
    if check.caa == CaaState.OTHER_METHOD:
        text = f"CAA records of {at} let {ISSUER} issue a certificate, but not after HTTP-01."
        return replace(advice, notes=(*advice.notes, text))
    if check.caa == CaaState.UNREADABLE:
        text = f"CAA records of {at} could not be asked for. An authority takes that for a no."
        return replace(advice, notes=(*advice.notes, text))
    return advice


def _with_apex(advice: Advice, check: NameCheck) -> Advice:
    if not check.chain or not _is_apex(check):
        return advice
    text = (
        "A CNAME record at the top of a domain hides its other records, such as those for mail "
        "(RFC 1034). Use A and AAAA records there, or what your DNS host calls ALIAS."
    )
    return replace(advice, notes=(*advice.notes, text))


def _is_apex(check: NameCheck) -> bool:
    return check.host == check.zone or check.host.count(".") == 1


def _zone(check: NameCheck) -> str:
    """The zone, or where it is not known what is most likely one."""
    return check.zone or ".".join(check.host.removeprefix(WILD).split(".")[-2:])


def _name(check: NameCheck) -> str:
    return _relative(check.host, _zone(check))


def _relative(host: str, zone: str) -> str:
    return "@" if host == zone else host.removesuffix(f".{zone}")


def _how(check: NameCheck) -> str:
    """By which kind of record it leads here."""
    if check.chain:
        return f"CNAME to {check.chain[-1]}"
    kinds = sorted({_kind(one) for one in check.addresses})
    word = f"{' and '.join(kinds)} record{'s' if len(check.addresses) > 1 else ''}"
    return f"Wildcard, {word}" if check.host.startswith(WILD) else word


def _kind(address: str) -> str:
    return "AAAA" if _version(address) == 6 else "A"


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version


def _all(addresses: list[str]) -> str:
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    return ", ".join(addresses[:3]) + more


def _span(seconds: int) -> str:
    if seconds < 3600:
        return f"{max(2, round(seconds / 60))} minutes"
    hours = round(seconds / 3600)
    return "an hour" if hours == 1 else f"{hours} hours"
