"""When which name's certificate is asked for. Nothing here asks anybody.

Traefik asks anew for each name that it lacks a certificate for whenever any route changes, any
other certificate arrives, or it starts. An issuer counts that: Let's Encrypt takes five failures of
a name in an hour. So a name is on a route with a resolver only while an attempt may be made, few at
a time, and comes off at the first failure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from apps.domains.acme_models import CertificateOrder
from apps.engine.acme_problems import SILENT, blames_the_name

State = CertificateOrder.State
AT_ONCE = 3
"""Names that were never refused. One that was waits alone: what others get would make Traefik ask
for it again."""
GIVE_UP = dt.timedelta(minutes=10)
"""After so long without a word from Traefik."""
PRESS = dt.timedelta(minutes=1)
"""Between two attempts that people ask for."""
_MINUTES = (5, 30, 180, 720, 1440)
_MINUTES_OF_OTHERS = (1, 5, 15, 60)
"""Where it was not the name's fault."""


def next_attempt(
    kind: str, failures: int, *, now: dt.datetime, not_before: dt.datetime | None
) -> dt.datetime:
    """After so many failures in a row."""
    pauses = _MINUTES if blames_the_name(kind) else _MINUTES_OF_OTHERS
    then = now + dt.timedelta(minutes=pauses[min(failures, len(pauses)) - 1])
    return max(then, not_before) if not_before else then


def admit(
    orders: Sequence[CertificateOrder],
    *,
    now: dt.datetime,
    is_hindered: Callable[[str], bool],
) -> list[CertificateOrder]:
    """Those whose turn it is. One that something is in the way of has none, and is in nobody's
    way."""
    waiting = [one for one in orders if one.state == State.WAITING]
    if any(_is_suspect(one) for one in waiting):
        return []
    chosen: list[CertificateOrder] = []
    for one in sorted((one for one in orders if _is_due(one, now)), key=_since):
        if len(waiting) + len(chosen) >= (1 if _is_suspect(one) else AT_ONCE):
            break
        if is_hindered(one.host):
            continue
        chosen.append(one)
        if _is_suspect(one):
            break
    return chosen


def is_silent(order: CertificateOrder, now: dt.datetime) -> bool:
    return (
        order.state == State.WAITING
        and order.asked_at is not None
        and now - order.asked_at > GIVE_UP
    )


def mark_failed(
    order: CertificateOrder,
    *,
    kind: str = SILENT,
    detail: str = "",
    now: dt.datetime,
    not_before: dt.datetime | None = None,
    leads: bool | None = None,
) -> None:
    """On the object; the caller saves it."""
    order.state = State.FAILED
    order.failures += 1
    order.kind, order.detail, order.failed_at = kind, detail, now
    order.next_at = next_attempt(kind, order.failures, now=now, not_before=not_before)
    order.led_here = leads


def may_press(order: CertificateOrder, now: dt.datetime) -> bool:
    """Whether a person may have it asked for now."""
    if order.state != State.FAILED:
        return False
    if order.kind == "rateLimited" and order.next_at is not None and order.next_at > now:
        return False
    return order.failed_at is None or now - order.failed_at >= PRESS


def _is_suspect(order: CertificateOrder) -> bool:
    """Whether it was refused for what it is."""
    return order.failures > 0 and blames_the_name(order.kind)


def _is_due(order: CertificateOrder, now: dt.datetime) -> bool:
    if order.state == State.QUEUED:
        return True
    return order.state == State.FAILED and order.next_at is not None and order.next_at <= now


def _since(order: CertificateOrder) -> dt.datetime:
    return order.next_at or order.created_at
