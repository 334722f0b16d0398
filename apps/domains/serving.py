"""Having certificates served, and seeing which ones really are.

What is served is looked at from where visitors come, and what follows from it (whether they are
sent on to HTTPS) is decided from what was seen, never from what was asked for.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.deployments import events
from apps.deployments.models import Deployment, Status
from apps.domains.acme import acme_settings, issuing
from apps.domains.authority import local_pairs, local_root
from apps.domains.certificates import chosen, own_by
from apps.domains.dashboard import publish_dashboard
from apps.domains.decisions import https_of_app
from apps.domains.https import PATIENCE
from apps.domains.models import Certificate, CertificateOrder, Domain, ServedCertificate
from apps.domains.selectors import parts_of
from apps.engine.acme_outcomes import in_the_way
from apps.engine.certificates import KeyPair, covers, listed
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError, ProxyUnavailable, SecretsUnreadable
from apps.engine.handshake import Seen, Trust
from apps.engine.locks import file_lock
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from apps.system.names import base_domain, dashboard_names

logger = logging.getLogger("mist.domains")
Kind = ServedCertificate.Kind
DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
SOON = dt.timedelta(seconds=5)
"""After so long what has just been asked for is looked at, for the first minutes."""
NO_PROJECT = 0
ROUND_MAX = 200
"""Names that are looked at in one go; others a moment later."""


@dataclass(frozen=True)
class Name:
    """One host name whose visitors come by HTTPS, or shall."""

    host: str
    by: HttpsBy
    project_id: int


def certificates_lock() -> AbstractContextManager[None]:
    return file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "certificates")


def settle() -> bool:
    """Have served what should be, and look at every name that it may concern. Whether apps' routes
    are to be written anew. Raises `EngineError`."""
    with certificates_lock():
        names = wanted_names()
        _keep_rows(names)
        try:
            own = _own(names)
            is_new = get_engine().proxy.write_certificates(_pairs(names, own))
            is_cleared = _clear_the_way(names, own)
        except SecretsUnreadable as error:
            # What is served stays so: with a key missing nothing better can be written.
            logger.warning("Certificates: %s", error.sentence)
            is_new = is_cleared = False
        if is_new and not is_cleared:
            lying_ready = [n.host for n in names if n.by in (HttpsBy.OWN, HttpsBy.SELF)]
            rows = ServedCertificate.objects.filter(host__in=lying_ready)
            rows.update(next_look_at=timezone.now())
    if is_cleared:
        # Nobody looks before Traefik has taken everything up again.
        return False
    return look_at_due()


def _clear_the_way(names: Collection[Name], own: Mapping[str, Certificate]) -> bool:
    """See that no certificate which Traefik was issued is served in place of one that lies ready;
    whether there was such a one. One that has ended takes no valid one's place. Raises
    `SecretsUnreadable`."""
    now = timezone.now()
    ready = {host: one.names for host, one in own.items() if one.not_before <= now < one.not_after}
    ready |= {one.host: [one.host] for one in names if one.by == HttpsBy.SELF}
    if not ready:
        return False
    proxy = get_engine().proxy
    held = proxy.issued_certificates(acme_settings().directory) or ()
    doomed = {one.hosts for one in in_the_way(held, ready)}
    if not doomed:
        return False
    proxy.forget_certificates(issuing(), doomed)
    _lost(doomed)
    logger.info(
        "Traefik has forgotten what it was issued for %s", listed(sorted(one[0] for one in doomed))
    )
    rows = ServedCertificate.objects.filter(host__in=ready)
    rows.update(next_look_at=timezone.now() + SOON)
    return True


def _lost(doomed: Collection[tuple[str, ...]]) -> None:
    """Names that were issued these, and whose owners want no other, are without one now."""
    state = CertificateOrder.State
    issued = CertificateOrder.objects.filter(state=state.ISSUED)
    lost = [one.pk for one in issued if any(covers(names, one.host) for names in doomed)]
    rows = CertificateOrder.objects.filter(pk__in=lost)
    rows.update(state=state.WAITING, asked_at=timezone.now(), ends_at=None)


def wanted_names() -> list[Name]:
    """Every name that has HTTPS, or shall; of automatic ones those that lead to something. The
    dashboard's are of no project."""
    live = Deployment.objects.filter(status=Status.LIVE).values_list("app_id", flat=True)
    led_to = set(live)
    apps = {app.pk: app for app in App.objects.filter(deleted_at=None) if app.has_address}
    found = {
        app.host: Name(app.host, by, app.project_id)
        for app in apps.values()
        if (by := own_by(app)) != HttpsBy.OFF and (by != HttpsBy.AUTOMATIC or app.pk in led_to)
    }
    for domain in Domain.objects.filter(app__in=apps).exclude(https=HttpsBy.OFF):
        by = HttpsBy(domain.https)
        if by != HttpsBy.AUTOMATIC or domain.app_id in led_to:
            found[domain.host] = Name(domain.host, by, apps[domain.app_id].project_id)
    for host, way in dashboard_names().items():
        if way != HttpsBy.OFF:
            found[host] = Name(host, HttpsBy(way), NO_PROJECT)
    return list(found.values())


def _keep_rows(names: Iterable[Name]) -> None:
    """A row for each name, and for no other."""
    wanted = {name.host for name in names}
    there = set(ServedCertificate.objects.values_list("host", flat=True))
    now = timezone.now()
    for some in parts_of(sorted(wanted - there)):
        fresh = [ServedCertificate(host=host, waits_since=now) for host in some]
        ServedCertificate.objects.bulk_create(fresh, ignore_conflicts=True)
    for some in parts_of(sorted(there - wanted)):
        ServedCertificate.objects.filter(host__in=some).delete()


def _own(names: Iterable[Name]) -> dict[str, Certificate]:
    """Name → the uploaded certificate to serve for it."""
    wanting = ((one.project_id, one.host) for one in names if one.by == HttpsBy.OWN)
    return chosen(wanting, timezone.now())


def _pairs(names: Iterable[Name], own: Mapping[str, Certificate]) -> list[KeyPair]:
    """What lies ready for Traefik. Raises `SecretsUnreadable`."""
    pairs = local_pairs([name.host for name in names if name.by == HttpsBy.SELF])
    served = {one.pk for one in own.values()}
    return pairs + [one.pair for one in Certificate.objects.filter(pk__in=served).order_by("pk")]


# ---------------------------------------------------------------------------------------- looking


def look_at_due() -> bool:
    """Look at the names that it is time for; whether routes are to be written anew."""
    now = timezone.now()
    rows = ServedCertificate.objects.filter(next_look_at__lte=now).order_by("next_look_at")
    changed = set[str]()
    root, due = "", list(rows[:ROUND_MAX])
    if due:
        root = local_root()
    for row in due:
        try:
            seen = get_engine().proxy.look_at_certificate(row.host, root=root)
        except ProxyUnavailable as error:
            # What was seen last is what is known: nobody is served anything now.
            logger.warning("Certificates: %s", error.sentence)
            due_rows = ServedCertificate.objects.filter(next_look_at__lte=now)
            due_rows.update(next_look_at=now + MINUTE)
            break
        if _note(row, seen):
            changed.add(row.host)
    return _follow(changed)


def _note(row: ServedCertificate, seen: Seen | None) -> bool:
    """Keep what was seen; whether it is something new."""
    now = timezone.now()
    before = (row.kind, row.fingerprint, row.is_valid(now), row.problem)
    was_valid_until = row.not_after if row.is_valid(row.looked_at or now) else None
    _fill(row, seen)
    is_valid = row.is_valid(now)
    if is_valid:
        row.waits_since = None
    elif row.waits_since is None:
        row.waits_since = now
    ended = was_valid_until is not None and was_valid_until <= now
    is_first, row.looked_at = row.looked_at is None, now
    row.next_look_at = next_look(row, now)
    row.save()
    return is_first or ended or before != (row.kind, row.fingerprint, is_valid, row.problem)


def _fill(row: ServedCertificate, seen: Seen | None) -> None:
    if seen is None:
        row.kind, row.names, row.issuer = Kind.NONE, [], ""
        row.not_before = row.not_after = None
        row.fingerprint = row.protocol = row.problem = ""
        return
    facts = seen.facts
    row.names, row.issuer = list(facts.names), facts.issuer
    row.not_before, row.not_after = facts.not_before, facts.not_after
    row.fingerprint, row.protocol = facts.fingerprint, seen.protocol
    row.problem = seen.problem[:300]
    row.kind = Kind(seen.trust) if seen.trust != Trust.NONE else Kind.BAD
    if row.kind == Kind.BAD and facts.not_before <= timezone.now() < facts.not_after:
        given = Certificate.objects.filter(fingerprint=facts.fingerprint, project__in=_of(row.host))
        if given.exists():
            row.kind, row.problem = Kind.GIVEN, ""


def _of(host: str) -> list[int]:
    """Projects that hold the name."""
    held = Domain.objects.filter(host=host).values_list("app__project", flat=True)
    end = f".{base_domain()}"
    own = App.objects.filter(label=host.removesuffix(end)).values_list("project", flat=True)
    return [*held, *(own if host.endswith(end) else ())]


def next_look(row: ServedCertificate, now: dt.datetime) -> dt.datetime:
    """While one is waited for soon, then each minute for an hour, each hour for a day; else each
    day, and at its end."""
    if row.waits_since is None:
        return min(now + DAY, row.not_after or now + DAY)
    waited = now - row.waits_since
    if waited < 2 * MINUTE:
        return now + SOON
    if waited < PATIENCE:
        return now + MINUTE
    return now + (HOUR if waited < DAY else DAY)


def _follow(hosts: Collection[str]) -> bool:
    """What was seen of these names is something new: decide anew where their visitors are sent."""
    if not hosts:
        return False
    if not dashboard_names().keys().isdisjoint(hosts):
        publish_dashboard()
    end = f".{base_domain()}"
    labels = [host.removesuffix(end) for host in hosts if host.endswith(end)]
    ids = set(Domain.objects.filter(host__in=hosts).values_list("app", flat=True))
    ids |= set(App.objects.filter(label__in=labels).values_list("pk", flat=True))
    for app in App.objects.filter(pk__in=ids, deleted_at=None).select_related("project"):
        with transaction.atomic():
            decide_sending_on(app)
            App.objects.filter(pk=app.pk).update(needs_apply=True, wishes=F("wishes") + 1)
        events.app_changed(app_id=app.pk)
    return bool(ids)


def decide_sending_on(app: App) -> None:
    """Write down for each name of the app whether visitors are sent on to HTTPS, which is what its
    address begins with."""
    domains = list(Domain.objects.filter(app=app))
    found = https_of_app(app, domains)
    for domain in domains:
        https = found[domain.host]
        if domain.sends_on != (sends := https is not None and https.redirects):
            Domain.objects.filter(pk=domain.pk).update(sends_on=sends)
    own = found[app.host]
    sends = own is not None and own.redirects
    if app.sends_on != sends:
        App.objects.filter(pk=app.pk).update(sends_on=sends)
        app.sends_on = sends


def log_trouble(error: EngineError) -> None:
    logger.warning("Certificates: %s", error.sentence)
