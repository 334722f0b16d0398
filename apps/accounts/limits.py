"""How often somebody may try, kept in the database: a restart forgives nothing.

Each rule is a bucket of tries that fills up again, one try after the other. A guess costs a try of
the address it comes from, of the account from that address, and of the account from all strangers
together. A browser that has signed in to the account before has tries of its own, which strangers
cannot use up, so nobody can lock a person out of the browser they use.
Source: OWASP, Slow Down Online Guessing Attacks with Device Cookies.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
import secrets
from dataclasses import dataclass

from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps.accounts.client import client_address
from apps.accounts.models import Allowance

DEVICE_SECONDS = 365 * 86_400
DEVICE_SALT = "mist.device"
DEVICE_COOKIE = "mist_device"
CLOCK_STEP = dt.timedelta(minutes=1)
"""More than all tries used by that is what a clock says that was set back since."""
PEOPLE_MAX = 8
"""Accounts of which one browser is known."""


@dataclass(frozen=True)
class Rule:
    name: str
    tries: int
    """How many at once."""
    every: float
    """Seconds after which one more is there."""


ADDRESS = Rule("address", 30, 10)
MAIL = Rule("mail", 5, 600)
MAIL_TO = Rule("mail-to", 3, 1_200)


@dataclass(frozen=True)
class Guess:
    """The rules for guessing one kind of secret."""

    from_here: Rule
    """Of an account, from one address. Slower than all strangers together: no single address can
    use up what the others have."""
    strangers: Rule
    """Of an account, from all browsers that it does not know."""
    device: Rule
    """Of an account, from a browser it knows."""


PASSWORD = Guess(
    Rule("password-here", 5, 60), Rule("password", 30, 30), Rule("password-device", 10, 60)
)
# Six digits, three of which count at any moment: at 288 tries a day a year of guessing succeeds
# once in four, for who knows the password as well.
CODE = Guess(Rule("code-here", 5, 600), Rule("code", 10, 300), Rule("code-device", 10, 300))

Subject = tuple[Rule, str]
"""A rule and of whom it is kept."""


def take(*subjects: Subject) -> int:
    """Use one try of each. Returns 0; or, when one of them has none left, the seconds until it
    has, and then none is used."""
    rules = {_key(subject): subject[0] for subject in subjects}
    now = timezone.now()
    with transaction.atomic():
        # A row to lock for each, always in the same order.
        fresh = [Allowance(key=key, full_at=now) for key in sorted(rules)]
        Allowance.objects.bulk_create(fresh, ignore_conflicts=True)
        rows = Allowance.objects.select_for_update().filter(key__in=rules).order_by("key")
        used = dict(rows.values_list("key", "full_at"))
        wait = 0.0
        for row in fresh:
            rule = rules[row.key]
            most = now + dt.timedelta(seconds=rule.tries * rule.every)
            before = max(now, used.get(row.key, now))
            if before - most > CLOCK_STEP:
                before = now
            row.full_at = before + dt.timedelta(seconds=rule.every)
            wait = max(wait, (row.full_at - most).total_seconds())
        if wait <= 0:
            Allowance.objects.bulk_create(
                fresh, update_conflicts=True, unique_fields=["key"], update_fields=["full_at"]
            )
    _forget(now)
    return math.ceil(wait) if wait > 0 else 0


@transaction.atomic
def _forget(now: dt.datetime) -> None:
    """Whoever has all tries again needs no row. Those that somebody uses right now are left."""
    unused = Allowance.objects.select_for_update(skip_locked=True).filter(full_at__lt=now)
    Allowance.objects.filter(key__in=list(unused.values_list("key", flat=True)[:500])).delete()


def give_back(*subjects: Subject) -> None:
    """The try was no guess: it was right."""
    with transaction.atomic():
        rules = {_key(subject): subject[0] for subject in subjects}
        rows = Allowance.objects.select_for_update().filter(key__in=rules).order_by("key")
        for row in rows:
            rule = rules[row.key]
            row.full_at -= dt.timedelta(seconds=rule.every)
            row.save(update_fields=["full_at"])


def tries_of(request: HttpRequest, guess: Guess, account: str) -> list[Subject]:
    """What a guess at the account's secret costs. `account` is the address that was typed: an
    unknown one costs the same."""
    account = account.strip().lower()
    known = _devices(request).get(_mark(account))
    if known is not None:
        return [(guess.device, f"{account} {known}")]
    return [
        address_of(request),
        (guess.from_here, f"{account} {_network(request)}"),
        (guess.strangers, account),
    ]


def address_of(request: HttpRequest, rule: Rule = ADDRESS) -> Subject:
    """What anything costs that a stranger may try only so often from one address."""
    return rule, _network(request)


def remember_device(request: HttpRequest, response: HttpResponseBase, account: str) -> None:
    """This browser signed in to the account: from now on it has tries of its own."""
    known = _devices(request)
    mark = _mark(account.strip().lower())
    kept = {key: nonce for key, nonce in known.items() if key != mark}
    recent = dict(list(kept.items())[-PEOPLE_MAX + 1 :])
    recent[mark] = known.get(mark) or secrets.token_urlsafe(12)
    response.set_cookie(
        DEVICE_COOKIE,
        signing.dumps(recent, salt=DEVICE_SALT),
        max_age=DEVICE_SECONDS,
        httponly=True,
        samesite="Lax",
    )


def _devices(request: HttpRequest) -> dict[str, str]:
    """The accounts that know this browser, each with the browser's name there."""
    try:
        found = signing.loads(
            request.COOKIES.get(DEVICE_COOKIE, ""), salt=DEVICE_SALT, max_age=DEVICE_SECONDS
        )
    except signing.BadSignature:
        return {}
    return found if isinstance(found, dict) else {}


def _mark(account: str) -> str:
    """Stands for the account in the cookie, which so tells nobody who signed in."""
    return salted_hmac("mist.device", account, algorithm="sha256").hexdigest()[:24]


def _network(request: HttpRequest) -> str:
    """The address; of IPv6 the /64, all of which one customer has."""
    found = client_address(request)
    if found is None:
        return "unknown"
    address = ipaddress.ip_address(found)
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return found


def _key(subject: Subject) -> str:
    rule, of = subject
    return salted_hmac("mist.limits", f"{rule.name} {of}", algorithm="sha256").hexdigest()
