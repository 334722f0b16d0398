"""For which names certificates are asked, and of whom."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.db.utils import DatabaseError

from apps.domains.acme_models import AcmeSettings, CertificateOrder, DnsAccount
from apps.engine import acme
from apps.engine.errors import SecretsUnreadable
from apps.engine.routes import WILD
from apps.system.names import base_domain

logger = logging.getLogger("mist.certificates")
NOT_PUBLIC = frozenset({"localhost", "local", "internal", "test", "example", "invalid", "onion"})
"""Top-level names that no public issuer knows (RFC 6761, RFC 6762, RFC 7686)."""
State = CertificateOrder.State
ASKED_AT_ONCE = 1_000
"""Names in one query: databases take so many thousand values and no more."""


@dataclass(frozen=True)
class Turns:
    """Whose turn it is to get a certificate."""

    resolvers: Mapping[str, str]
    """Name or wildcard → which of Traefik's resolvers shall get its certificate, empty while none
    should be asked for: until its turn has come, and again for a while after each failure."""
    unasked: frozenset[str] = frozenset()
    """Those of the names that should stand in line and do not."""


def turns_of(hosts: Collection[str]) -> Turns:
    """In two queries and one for every thousand of the names."""
    row = acme_settings()
    accounts = list(DnsAccount.objects.defer("variables")) if row.is_on else []
    ways = {host: _way(host, row, accounts) for host in hosts}
    base = base_domain()
    asked = {host for host, way in ways.items() if way and not _is_below(base, host, accounts)}
    states = dict[str, str]()
    for some in in_parts(asked):
        rows = CertificateOrder.objects.filter(host__in=some).order_by()
        states |= dict(rows.values_list("host", "state"))
    found = dict.fromkeys(hosts, "")
    turn_came = (State.WAITING, State.ISSUED)
    found |= {host: ways[host] for host, state in states.items() if state in turn_came}
    return Turns(found, frozenset(asked - states.keys()))


def stand_in_line(hosts: Collection[str]) -> None:
    """Have certificates asked for, for these names, when their turn has come."""
    fresh = [CertificateOrder(host=host) for host in sorted(hosts)]
    CertificateOrder.objects.bulk_create(fresh, ignore_conflicts=True)


def resolvers_for(hosts: Iterable[str]) -> Mapping[str, str]:
    """`Turns.resolvers` of the names. What was never asked for stands in line from now on."""
    turns = turns_of(set(hosts))
    stand_in_line(turns.unasked)
    return turns.resolvers


def acme_settings() -> AcmeSettings:
    """What is set, or what holds while nothing is."""
    return AcmeSettings.objects.filter(pk=AcmeSettings.ONLY).first() or AcmeSettings()


def issuing() -> acme.Issuing:
    """What Traefik has to know. Raises `SecretsUnreadable`."""
    row = acme_settings()
    return acme.Issuing(
        directory=row.directory,
        email=row.email,
        eab_key_id=row.eab_key_id,
        eab_key=row.eab_key,
        lifetime_hours=row.lifetime_hours,
        accounts=tuple(
            acme.DnsAccount(
                number=one.pk,
                provider=one.provider,
                variables=one.values,
                servers=tuple(one.servers.split()),
                wait_seconds=one.wait_seconds,
                looks=one.looks,
            )
            for one in DnsAccount.objects.order_by("pk")
        ),
    )


def resolver_names() -> set[str]:
    """Of the resolvers that Traefik is told of: it serves, and renews, what these have got."""
    keys = DnsAccount.objects.values_list("pk", flat=True)
    dns = (f"{acme.DNS_RESOLVER}{key}" for key in keys)
    return {acme.HTTP_RESOLVER, acme.TLS_RESOLVER, *dns}


def without_credentials(hosts: Iterable[str]) -> set[str]:
    """Those that are wildcards which nothing could prove: in one query, in none where there are no
    wildcards."""
    wild = {host for host in hosts if host.startswith(WILD)}
    accounts = list(DnsAccount.objects.defer("variables")) if wild else []
    return {host for host in wild if not any(one.has(host) for one in accounts)}


def issuing_if_known() -> acme.Issuing | None:
    """None where the database or the keys are not to be had: Traefik has to be started even so,
    and goes by what it had."""
    try:
        return issuing()
    except (SecretsUnreadable, DatabaseError) as error:
        logger.warning("The settings of certificates cannot be read: %s", error)
        return None


def orders_of(hosts: Iterable[str]) -> dict[str, CertificateOrder]:
    """What stands in line, is asked for or was issued for these names, in one query."""
    found = CertificateOrder.objects.filter(host__in=set(hosts)).order_by("host")
    return {order.host: order for order in found}


def troubled_orders(most: int) -> tuple[list[CertificateOrder], int]:
    """Names that have no certificate yet, and how many more there are."""
    without = CertificateOrder.objects.exclude(state__in=(State.ISSUED, State.COVERED))
    rows = without.order_by("-failed_at", "host")
    found = list(rows[: most + 1])
    return found[:most], (rows.count() - most if len(found) > most else 0)


def base_wildcard() -> str:
    """The name of the one certificate for all apps' own names; empty where each has its own."""
    host = f"{WILD}{base_domain()}"
    row = acme_settings()
    accounts = list(DnsAccount.objects.defer("variables")) if row.is_on else []
    return host if _way(host, row, accounts) else ""


def is_public_name(host: str) -> bool:
    """Whether a public issuer could prove who has that name."""
    name = host.removeprefix(WILD)
    if "." not in name:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.rpartition(".")[2] not in NOT_PUBLIC
    return False


def in_parts(hosts: Collection[str]) -> Iterator[list[str]]:
    """All of the names, so many at a time."""
    ordered = sorted(hosts)
    for start in range(0, len(ordered), ASKED_AT_ONCE):
        yield ordered[start : start + ASKED_AT_ONCE]


# ------------------------------------------------------------------------------------------ parts


def _way(host: str, row: AcmeSettings, accounts: list[DnsAccount]) -> str:
    """The resolver that could prove the name, whether it is its turn or not."""
    if not row.is_on or not _is_known_to(row.directory, host):
        return ""
    if host.startswith(WILD):
        return next((f"{acme.DNS_RESOLVER}{one.pk}" for one in accounts if one.has(host)), "")
    is_http = row.challenge == AcmeSettings.Challenge.HTTP
    return acme.HTTP_RESOLVER if is_http else acme.TLS_RESOLVER


def _is_known_to(directory: str, host: str) -> bool:
    """An issuer of one's own may know names that nobody else does, but no machine's own ones."""
    if is_public_name(host):
        return True
    is_own = directory not in (acme.LETS_ENCRYPT, acme.LETS_ENCRYPT_STAGING)
    return is_own and "." in host and not f".{host}".endswith((".localhost", ".mist.internal"))


def _is_below(base: str, host: str, accounts: list[DnsAccount]) -> bool:
    """Whether the base domain's wildcard is there for the name. That one is asked for beside the
    apps (`issuance`)."""
    name, _, parent = host.partition(".")
    return name != "*" and parent == base and any(one.has(f"{WILD}{base}") for one in accounts)
