"""Why an issuer gives no certificate, in words: what happened, and what to do.

The kinds are the problem types of ACME (RFC 8555, 6.7), and some of Traefik's own.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

TYPE = re.compile(r"urn:ietf:params:acme:error:([A-Za-z]+)")
_RETRY = re.compile(r"retry after (\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?: ?UTC|Z)?", re.IGNORECASE)
OTHER, SILENT = "other", "silent"


@dataclass(frozen=True)
class Words:
    sentence: str
    step: str


WORDS: dict[str, Words] = {
    "dns": Words(
        "The issuer could not look up the name.",
        "See that its A or AAAA record exists and leads to this server.",
    ),
    "connection": Words(
        "The issuer could not reach this server under the name.",
        "See that the name leads to this server's public address, and that no firewall keeps "
        "ports 80 and 443 from the internet.",
    ),
    "unauthorized": Words(
        "Under that name the issuer got another answer than this server's.",
        "See that the name leads to this server alone, with no other server, old AAAA record or "
        "proxy in between.",
    ),
    "incorrectResponse": Words(
        "The issuer did not find the proof that it asked for.",
        "See that the name leads to this server alone. With DNS-01, give the record more time.",
    ),
    "tls": Words(
        "The issuer could not make a TLS connection to this server.",
        "See that port 443 leads here without another TLS server in between, or choose HTTP-01.",
    ),
    "caa": Words(
        "A CAA record of the domain forbids this issuer.",
        "Add a CAA record that names the issuer, or remove the one there is.",
    ),
    "rateLimited": Words(
        "The issuer has been asked too often.",
        "Nothing has to be done: Mist asks again when the issuer takes it.",
    ),
    "rejectedIdentifier": Words(
        "The issuer gives no certificates for that name.",
        "Use another name, or another issuer.",
    ),
    "unsupportedIdentifier": Words(
        "The issuer gives no certificates for that kind of name.",
        "Use another name, or another issuer.",
    ),
    "badNonce": Words(
        "The issuer did not take the message, by chance.", "Nothing has to be done."
    ),
    "serverInternal": Words(
        "The issuer has a problem of its own.", "Nothing has to be done: Mist asks again."
    ),
    "externalAccountRequired": Words(
        "The issuer wants to know whose account it is.",
        "An admin enters the EAB key under Settings, Certificates.",
    ),
    "accountDoesNotExist": Words(
        "The issuer does not know this server's account.",
        "An admin saves the settings under Settings, Certificates again.",
    ),
    "invalidContact": Words(
        "The issuer does not take the contact address.",
        "An admin corrects it under Settings, Certificates.",
    ),
    "userActionRequired": Words(
        "The issuer wants its new terms agreed to.", "Read what it says, then try again."
    ),
    "malformed": Words(
        "The issuer did not understand what it was asked.",
        "See that its address is that of an ACME directory and the EAB key is whole.",
    ),
    "credentials": Words(
        "Traefik lacks credentials for the DNS provider, or they are not what it expects.",
        "An admin corrects them under Settings, Certificates.",
    ),
    "record": Words(
        "The DNS provider did not make the record that proves the name.",
        "See that the credentials may change that zone, and what the provider says below.",
    ),
    "propagation": Words(
        "The record that proves the name did not show up in the DNS in time.",
        "See that the zone is with that provider, or let Traefik wait longer.",
    ),
    "unreachable": Words(
        "The issuer cannot be reached from this server.",
        "See that this server reaches the issuer's address, and that its certificate is known "
        "here (MIST_ACME_CA_FILE for one of your own).",
    ),
    SILENT: Words(
        "Traefik has not said what became of it.", "See that Traefik runs: ./mist doctor."
    ),
    OTHER: Words(
        "No certificate could be had.", "What Traefik says of it stands below."
    ),
}  # fmt: skip

_ITS_OWN = (
    ("credentials", re.compile(r"credential|token is missing|missing auth|project name missing")),
    ("record", re.compile(r"error presenting token|presenting the token")),
    ("propagation", re.compile(r"propagation|time limit exceeded|the expected TXT")),
    ("unreachable", re.compile(r"get directory|no such host|connection refused|x509:|i/o timeout")),
)  # fmt: skip
_NO_FAULT = frozenset({"badNonce", "serverInternal", "unreachable", SILENT})
"""Kinds that say nothing about the name."""


def kind_of(error: str) -> str:
    """Which kind of problem Traefik's message is about."""
    found: list[str] = [name for name in TYPE.findall(error) if name in WORDS]
    specific = [name for name in found if name != "malformed"]
    if specific or found:
        return (specific or found)[-1]
    return next((kind for kind, pattern in _ITS_OWN if pattern.search(error)), OTHER)


def blames_the_name(kind: str) -> bool:
    return kind not in _NO_FAULT


def words_for(kind: str) -> Words:
    return WORDS.get(kind, WORDS[OTHER])


def retry_after(error: str) -> dt.datetime | None:
    """When the issuer takes the next order, where it says so."""
    found = _RETRY.search(error)
    if found is None:
        return None
    moment = dt.datetime.fromisoformat(found.group(1).replace(" ", "T"))
    return moment.replace(tzinfo=dt.UTC)
