"""Sees to it that names get their certificates: puts them on the routes, one after the other, reads
what became of them, and waits after a failure.

Traefik asks the issuer; nobody waits for any of this. Rows say what is going on, so a round may be
cut off at any moment.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q
from django.utils import timezone

from apps.deployments import events
from apps.deployments.traffic import publish_routes
from apps.domains import acme_planning as planning
from apps.domains.acme import (
    acme_settings,
    base_wildcard,
    issuing,
    resolver_names,
    resolvers_for,
)
from apps.domains.acme_models import AcmeSettings, CertificateOrder, DnsAccount
from apps.domains.dashboard import publish_dashboard
from apps.domains.hindrance import hindrances
from apps.domains.models import Domain, ServedCertificate
from apps.domains.needed import forget_unwanted, note_covered
from apps.domains.selectors import leads_here
from apps.engine.acme import DNS_RESOLVER
from apps.engine.acme_outcomes import Issued, Refusal, covers
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.engine.routes import WILD
from apps.projects.models import App
from apps.system.names import base_domain, dashboard_names

logger = logging.getLogger("mist.certificates")
State = CertificateOrder.State
ROUND_SECONDS = 4.0
POLL_SECONDS = 0.5
IDLE = dt.timedelta(minutes=10)
"""Between two looks at certificates that are there."""
LOST = dt.timedelta(seconds=60)
"""After so long a change of the settings whose message was lost is taken up."""
BASE = "certificates"
"""The dynamic file with which the base domain's wildcard is asked for."""
_looked: dict[str, float] = {}


def look_after() -> None:
    """One round. While something is being issued it lasts for some seconds: a refused name has to
    come off its route before Traefik asks again."""
    apply_if_forgotten()
    until = time.monotonic() + ROUND_SECONDS
    while step() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def step() -> bool:
    """Take up what became of orders, then let the next ones in. Whether some are being issued."""
    now = timezone.now()
    _keep_base_wildcard()
    open_ones = CertificateOrder.objects.exclude(state=State.ISSUED)
    if not open_ones.exists() and not _is_time():
        return False
    forget_unwanted()
    changed = _take_up(now)
    for order in note_covered(open_ones.all()):
        changed = True
        if order.state == State.COVERED:
            _publish(order.host)
    orders = list(open_ones.all())
    _wake_where_dns_changed(orders, now)
    hindered = hindrances([one.host for one in orders])
    for order in planning.admit(orders, now=now, is_hindered=lambda host: bool(hindered[host])):
        changed |= _ask(order, now)
    if changed:
        events.publish(events.LOBBY, {"type": "mist.changed"})
    return CertificateOrder.objects.filter(state=State.WAITING).exists()


def apply_if_forgotten() -> None:
    if AcmeSettings.objects.filter(apply_asked_at__lt=timezone.now() - LOST).exists():
        apply_settings()


def apply_settings() -> None:
    """Have routes and Traefik go by the settings as they are now. Traefik is restarted where it has
    to know something else."""
    row = AcmeSettings.objects.filter(pk=AcmeSettings.ONLY).first()
    problem = ""
    try:
        # Before it starts anew: no route may name a resolver that is gone.
        for app in App.objects.filter(deleted_at=None).select_related("project"):
            publish_routes(app)
        publish_dashboard()
        _keep_base_wildcard()
        get_engine().proxy.ensure_running(issuing())
        # What was got with credentials that are gone is neither served nor renewed any more.
        _take_up(timezone.now())
        forget_unwanted()
    except EngineError as error:
        problem = f"{error.sentence} {error.hint}".strip()[:500]
        logger.warning("The settings of certificates: %s", problem)
    if row is not None:
        same = AcmeSettings.objects.filter(pk=row.pk, apply_asked_at=row.apply_asked_at)
        same.update(apply_asked_at=None, apply_problem=problem)
    events.publish(events.LOBBY, {"type": "mist.changed"})


# ----------------------------------------------------------------------------------- what became


def _is_time() -> bool:
    last = _looked.get("issued")
    return last is None or time.monotonic() - last > IDLE.total_seconds()


def _take_up(now: dt.datetime) -> bool:
    """Write down what Traefik got and did not get. Whether a page shows something else now."""
    orders = list(CertificateOrder.objects.exclude(state=State.QUEUED))
    if not orders:
        _looked["issued"] = time.monotonic()
        return False
    proxy = get_engine().proxy
    try:
        held = proxy.issued_certificates(acme_settings().directory)
        said = proxy.refused_certificates(_earliest(orders, now))
    except EngineError as error:
        logger.warning("Certificates: %s", error.sentence)
        return False
    _looked["issued"] = time.monotonic()
    if held is not None:
        known = resolver_names()
        held = [one for one in held if one.resolver in known]
    changed = [one for one in orders if _settle(one, held, said, now)]
    for order in changed:
        if order.state == State.FAILED:
            _publish(order.host)
        else:
            _have_looked_at(order.host, now)
    return bool(changed)


def _have_looked_at(host: str, now: dt.datetime) -> None:
    """What is served for the name, or for those that the wildcard is for, is looked at next, and
    visitors are sent on to HTTPS by what is seen."""
    which = Q(host=host)
    if host.startswith(WILD):
        which |= Q(host__endswith=host.removeprefix("*"))
    ServedCertificate.objects.filter(which).update(next_look_at=now)


def _earliest(orders: Sequence[CertificateOrder], now: dt.datetime) -> dt.datetime:
    waiting = [one.asked_at for one in orders if one.state == State.WAITING and one.asked_at]
    return min([*waiting, now - IDLE]).replace(microsecond=0)


def _settle(
    order: CertificateOrder,
    held: Sequence[Issued] | None,
    said: Sequence[Refusal],
    now: dt.datetime,
) -> bool:
    """Take up what is known of one order; whether that is new."""
    ends_at = _end_of(order.host, held or (), now)
    if ends_at is not None:
        is_new = order.state != State.ISSUED or order.ends_at != ends_at
        if is_new:
            _save(
                order, state=State.ISSUED, ends_at=ends_at, failures=0,
                kind="", detail="", failed_at=None, next_at=None,
            )  # fmt: skip
        return is_new or _note_renewal(order, said)
    if order.state == State.ISSUED and held is not None:
        # It is gone from there, or has ended: Traefik asks again as for a new one.
        _save(order, state=State.WAITING, asked_at=now, ends_at=None)
        return True
    if order.state != State.WAITING:
        return False
    since = (order.asked_at or now).replace(microsecond=0)
    mine = [one for one in said if order.host in one.hosts and one.at >= since]
    last = mine[-1] if mine else None
    if last is None and not planning.is_silent(order, now):
        return False
    leads = leads_here(order.host)
    if last is None:
        planning.mark_failed(order, now=now, leads=leads)
    else:
        planning.mark_failed(
            order, kind=last.kind, detail=last.detail, now=now,
            not_before=last.not_before, leads=leads,
        )  # fmt: skip
    logger.warning("No certificate for %s: %s", order.host, order.words.sentence)
    order.save()
    return True


def _note_renewal(order: CertificateOrder, said: Sequence[Refusal]) -> bool:
    """Of one that is there: whether its renewal fails, which Traefik goes on to try by itself."""
    failed = [one for one in said if one.is_renewal and order.host in one.hosts]
    if not failed or (order.failed_at and failed[-1].at <= order.failed_at):
        return False
    _save(order, kind=failed[-1].kind, detail=failed[-1].detail, failed_at=failed[-1].at)
    return True


def _end_of(host: str, held: Iterable[Issued], now: dt.datetime) -> dt.datetime | None:
    """Until when Traefik has a valid one for the name."""
    ends = [one.ends for one in held if covers(one.hosts, host) and one.ends > now]
    return max(ends, default=None)


def _wake_where_dns_changed(orders: Iterable[CertificateOrder], now: dt.datetime) -> None:
    """A name that did not lead here when it was refused, and does now, has its turn at once."""
    for order in orders:
        waits = order.state == State.FAILED and order.next_at is not None and order.next_at > now
        if waits and order.led_here is False and leads_here(order.host):
            _save(order, next_at=now, failures=0, led_here=True)


# ----------------------------------------------------------------------------------------- asking


def _ask(order: CertificateOrder, now: dt.datetime) -> bool:
    """Put the name on its routes with a resolver. One that no route wants is forgotten: it stands
    in line again as soon as one does."""
    _save(order, state=State.WAITING, asked_at=now)
    if not _publish(order.host):
        order.delete()
    return True


def _publish(host: str) -> bool:
    """Write the routes of the name again; whether one of them asks for its certificate now."""
    if host == base_wildcard():
        _keep_base_wildcard()
        return True
    proxy, asked = get_engine().proxy, False
    if host in dashboard_names():
        asked = host in _asked_by(publish_dashboard())
    for app in _apps_at(host):
        try:
            publish_routes(app)
        except EngineError as error:
            logger.warning("Routes of %s: %s", app, error.sentence)
            continue
        asked |= host in _asked_by(proxy.read_routes(str(app.pk)) or {})
    return asked


def _asked_by(file: Any) -> set[str]:
    routers = file.get("http", {}).get("routers", {}).values()
    return {
        domain["main"]
        for router in routers
        if router.get("tls", {}).get("certResolver")
        for domain in router["tls"].get("domains", ())
    }


def _apps_at(host: str) -> list[App]:
    label = host.removesuffix(f".{base_domain()}")
    pks = set(Domain.objects.filter(host=host).values_list("app", flat=True))
    found = App.objects.filter(deleted_at=None).select_related("project")
    return [*found.filter(pk__in=pks), *found.filter(label=label).exclude(pk__in=pks)]


def _keep_base_wildcard() -> None:
    """Ask for the one certificate of all apps' own names by a router of its own, to which nobody
    comes."""
    host = base_wildcard() if DnsAccount.objects.exists() else ""
    resolver = resolvers_for([host])[host] if host else ""
    file: dict[str, Any] = {}
    if resolver.startswith(DNS_RESOLVER):
        tls = {"certResolver": resolver, "domains": [{"main": host}]}
        router = {
            "entryPoints": ["websecure"],
            "rule": "Host(`certificates.mist.internal`)",
            "service": "noop@internal",
            "tls": tls,
        }
        file = {"http": {"routers": {"mist-base-wildcard": router}}}
    get_engine().proxy.write_extra(BASE, file)


def _save(order: CertificateOrder, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(order, name, value)
    order.save(update_fields=list(fields))
