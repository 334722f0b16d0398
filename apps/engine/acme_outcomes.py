"""What became of the certificates that Traefik asked for: its log and its storage, read."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from apps.engine.acme_problems import kind_of, retry_after

MAX_DETAIL = 600
_ASKED = "Unable to obtain ACME certificate for domain"
_RENEWED = "Error renewing ACME certificate"
_NAME = re.compile(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_TOKEN = re.compile(r"(/\.well-known/acme-challenge/)[\w-]+")
_PREFIX = re.compile(r"^.*one or more domains had a problem:\s*\[?", re.DOTALL)


@dataclass(frozen=True)
class Refusal:
    """One attempt that failed."""

    hosts: tuple[str, ...]
    at: dt.datetime
    kind: str
    """A key of `acme_problems.WORDS`."""
    detail: str
    """What the issuer or the provider says."""
    not_before: dt.datetime | None = None
    """When the issuer takes the next one, where it says so."""
    is_renewal: bool = False


@dataclass(frozen=True)
class Issued:
    """One certificate that Traefik holds."""

    hosts: tuple[str, ...]
    begins: dt.datetime
    ends: dt.datetime
    resolver: str = ""


def refusals(lines: Iterable[str], *, since: dt.datetime) -> list[Refusal]:
    """Failed attempts of that moment (to the second) or later, oldest first. Lines that are not
    JSON, or about something else, are passed over."""
    found = (_refusal(line) for line in lines if _ASKED in line or _RENEWED in line)
    return sorted((one for one in found if one and one.at >= since), key=lambda one: one.at)


def issued(text: str) -> list[Issued]:
    """The certificates in an issuer's storage. Raises `ValueError` for what is no such file."""
    stored = json.loads(text) if text.strip() else {}
    if not isinstance(stored, dict):
        raise ValueError("not a storage of certificates")
    found = []
    for resolver, data in stored.items():
        for one in (data or {}).get("Certificates") or ():
            try:
                found.append(_issued(one, resolver))
            except (ValueError, KeyError, TypeError, binascii.Error):
                continue  # One that Traefik cannot use either.
    return found


def covers(hosts: Iterable[str], host: str) -> bool:
    """Whether a certificate of these names is one for `host`, too."""
    return any(name in hosts for name in _fitting(host))


def in_the_way(held: Iterable[Issued], ready: Mapping[str, Collection[str]]) -> list[Issued]:
    """Those that Traefik serves, or may serve, where another one lies ready: `ready` is the name of
    a host with the names of that one.

    Traefik (3.7) goes by the names in its certificates that are for the host, and of these by the
    last one in the order of characters: an exact name after a wildcard. Of two certificates with
    that same name it serves either, and may change at each change of any route.
    """
    by_name = defaultdict[str, list[Issued]](list)
    for one in held:
        for name in one.hosts:
            by_name[name].append(one)
    found: list[Issued] = []
    for host, names in ready.items():
        fitting = _fitting(host)
        mine = max((name for name in fitting if name in names), default="")
        rivals = (name for name in fitting if mine and name >= mine)
        found += [one for name in rivals for one in by_name.get(name, ()) if one not in found]
    return found


def without(text: str, doomed: Collection[tuple[str, ...]]) -> str:
    """An issuer's storage without the certificates for exactly these names. Raises `ValueError`
    for what is no storage."""
    stored = json.loads(text) if text.strip() else {}
    if not isinstance(stored, dict):
        raise ValueError("not a storage of certificates")
    for data in stored.values():
        kept = (data or {}).get("Certificates") or ()
        left = [one for one in kept if _hosts(one) not in doomed]
        if len(left) < len(kept):
            data["Certificates"] = left
    return json.dumps(stored, indent=2)


# ------------------------------------------------------------------------------------------ parts


def _fitting(host: str) -> tuple[str, ...]:
    """Names of certificates that are for the host."""
    return tuple(dict.fromkeys((host, f"*.{host.partition('.')[2]}")))


def _hosts(one: dict[str, Any]) -> tuple[str, ...]:
    domain = one.get("domain") or {}
    return (str(domain.get("main", "")), *(str(san) for san in domain.get("sans") or ()))


def _refusal(line: str) -> Refusal | None:
    try:
        said = json.loads(line)
        at = dt.datetime.fromisoformat(said["time"])
    except (ValueError, KeyError, TypeError):
        return None
    message, error = str(said.get("message", "")), str(said.get("error", ""))
    is_renewal = message.startswith(_RENEWED)
    if is_renewal:
        hosts = tuple(_NAME.findall(message.removeprefix(_RENEWED)))
    else:
        hosts = tuple(str(one) for one in said.get("domains") or ())
    if not hosts or at.tzinfo is None:
        return None
    return Refusal(
        hosts=hosts,
        at=at,
        kind=kind_of(error),
        detail=_detail(error),
        not_before=retry_after(error),
        is_renewal=is_renewal,
    )


def _detail(error: str) -> str:
    """Without what Traefik puts around it, and without the proof's secret-looking part."""
    text = _TOKEN.sub(r"\1…", _PREFIX.sub("", error)).strip().removesuffix("]")
    return text[:MAX_DETAIL]


def _issued(one: dict[str, Any], resolver: str) -> Issued:
    pem = base64.b64decode(one["certificate"])
    certificate, hosts = x509.load_pem_x509_certificate(pem), _hosts(one)
    if not hosts[0]:
        raise ValueError("a certificate of no name")
    return Issued(
        hosts=hosts,
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
        resolver=str(resolver),
    )
