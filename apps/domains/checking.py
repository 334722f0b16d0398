"""Asks the DNS about the names that lead to apps, writes down what it said and tells the pages.

No page and no route waits for any of this.
"""

from __future__ import annotations

import datetime as dt
import logging
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from apps.deployments import events
from apps.domains.models import NameCheck
from apps.domains.selectors import is_public_name, names_in_use, parts_of
from apps.engine.connect import look_up_name
from apps.engine.name_facts import NameFacts, OwnAddresses, parse_server
from apps.engine.name_state import NameState, Verdict, decide
from apps.engine.public_addresses import own_addresses

logger = logging.getLogger("mist.domains")
AT_ONCE = 8
MOST = 40
"""Names of one round. Others that are due come in the next one."""
OFTEN, OFTEN_FOR = dt.timedelta(minutes=2), dt.timedelta(days=1)
SELDOM = dt.timedelta(hours=1)
DAILY = dt.timedelta(days=1)
CLAIM = dt.timedelta(minutes=2)
"""For how long nobody else takes up a name that somebody is asking for."""
FINE = (NameState.HERE, NameState.PROXIED, NameState.PRIVATE)


def check_due() -> None:
    """Take in new names, forget those that nobody uses, and ask for those whose time has come."""
    _take_in(names_in_use())
    due = NameCheck.objects.filter(next_at__lte=timezone.now()).order_by("next_at")
    _check([one for one in due[:MOST] if _claim(one)])


def check_name(host: str) -> None:
    """Ask for one name now."""
    if is_public_name(host):
        found, _ = NameCheck.objects.get_or_create(host=host)
        _check([found])


def next_look(
    state: str, *, well: bool, wrong_since: dt.datetime | None, now: dt.datetime, host: str
) -> dt.datetime:
    """When to ask again: daily while all is well, each name at a time of day of its own; every two
    minutes for a day after it went wrong, hourly then."""
    if well:
        return now + DAILY - dt.timedelta(seconds=zlib.crc32(host.encode()) % 3600)
    if state == NameState.UNKNOWN:
        return now + SELDOM
    return now + (OFTEN if wrong_since is None or now - wrong_since < OFTEN_FOR else SELDOM)


def server_addresses() -> OwnAddresses:
    """This server's addresses, as far as they are known. May ask `MIST_ADDRESS_SERVICE`, which
    takes seconds."""
    return own_addresses(
        named=settings.MIST_PUBLIC_ADDRESSES,
        known=urlsplit(settings.MIST_URL).hostname or "",
        service=settings.MIST_ADDRESS_SERVICE,
    )


# ------------------------------------------------------------------------------------------ parts


def _take_in(names: set[str]) -> None:
    known = set(NameCheck.objects.values_list("host", flat=True))
    for some in parts_of(sorted(names - known)):
        fresh = [NameCheck(host=name) for name in some]
        NameCheck.objects.bulk_create(fresh, ignore_conflicts=True)
    # One that was asked for a moment ago is of a name that is just being added.
    old = timezone.now() - CLAIM
    for some in parts_of(sorted(known - names)):
        NameCheck.objects.filter(host__in=some).exclude(asked_at__gt=old).delete()


def _claim(check: NameCheck) -> bool:
    """Whether nobody else takes it up."""
    row = NameCheck.objects.filter(pk=check.pk, next_at=check.next_at)
    return bool(row.update(next_at=timezone.now() + CLAIM))


def _check(checks: list[NameCheck]) -> None:
    if not checks:
        return
    own = server_addresses()
    servers = [parse_server(text) for text in settings.MIST_DNS_SERVERS]
    with ThreadPoolExecutor(min(AT_ONCE, len(checks)), "names") as threads:
        found = threads.map(lambda one: look_up_name(one.host, servers), checks)
        changed = [_write(one, facts, own) for one, facts in zip(checks, found, strict=True)]
    _tell([host for host in changed if host])


def _write(check: NameCheck, facts: NameFacts, own: OwnAddresses) -> str:
    """Keep the answer; returns the host when a page shows something else now."""
    verdict, now = decide(facts, own), timezone.now()
    shown = _shown(check)
    waited = check.is_asking
    fields = _fields(facts, verdict, own)
    well = verdict.state in FINE and not verdict.caa
    since = None if well else (check.wrong_since or now)
    fields |= {"checked_at": now, "wrong_since": since}
    fields["next_at"] = next_look(
        verdict.state, well=well, wrong_since=since, now=now, host=check.host
    )
    for name, value in fields.items():
        setattr(check, name, value)
    # One that was removed meanwhile is not made again.
    NameCheck.objects.filter(pk=check.pk).update(**fields)
    return check.host if waited or shown != _shown(check) else ""


def _fields(facts: NameFacts, verdict: Verdict, own: OwnAddresses) -> dict[str, object]:
    return {
        "state": verdict.state.value,
        "addresses": [*facts.v4.values, *facts.v6.values],
        "wrong": list(verdict.wrong),
        "chain": list(facts.v4.chain or facts.v6.chain),
        "zone": facts.zone,
        "expected": list(own.public),
        "own": [one for one in own.private if one not in ("127.0.0.1", "::1")],
        "reason": verdict.reason.value,
        "error": verdict.detail[:300],
        "ttl": max(facts.v4.ttl, facts.v6.ttl),
        "caa": verdict.caa.value,
        "caa_at": facts.caa_at,
    }


def _shown(check: NameCheck) -> tuple[object, ...]:
    return (
        *(check.state, check.addresses, check.wrong, check.chain, check.zone, check.expected),
        *(check.reason, check.error, check.caa, check.caa_at),
    )


def _tell(hosts: list[str]) -> None:
    if hosts:
        logger.info("The DNS says something else of %s", ", ".join(hosts))
        events.publish(events.LOBBY, {"type": "mist.changed"})
