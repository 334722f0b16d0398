"""Which certificates are needed at all: not those of names that want none from an issuer, nor
those for which Traefik has another one."""

from __future__ import annotations

from collections.abc import Iterable

from apps.domains.acme import base_wildcard, without_credentials
from apps.domains.certificates import covering, own_by
from apps.domains.models import CertificateOrder, Domain
from apps.domains.selectors import parts_of
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from apps.system.names import base_domain, dashboard_names

State = CertificateOrder.State


def forget_unwanted() -> None:
    """Names that are gone, whose owner chose something else, or that nothing can prove any more are
    in nobody's way."""
    hosts = set(CertificateOrder.objects.exclude(state=State.ISSUED).values_list("host", flat=True))
    wanted = _wanted(hosts) - without_credentials(hosts)
    for some in parts_of(sorted(hosts - wanted)):
        CertificateOrder.objects.filter(host__in=some).delete()


def note_covered(orders: Iterable[CertificateOrder]) -> list[CertificateOrder]:
    """Take out of the line what Traefik has a certificate for that somebody gave it, and put back
    what it had one for; those that changed. Traefik asks nobody for such a name and says nothing of
    it, so that it would be waited for in vain."""
    orders = list(orders)
    by = covering([one.host for one in orders]) if orders else {}
    changed = []
    for order in orders:
        cover = by.get(order.host, "")
        is_covered = order.state == State.COVERED
        if is_covered == bool(cover) and (not cover or order.detail == cover):
            continue
        order.state = State.COVERED if cover else State.QUEUED
        order.kind, order.detail, order.failures = "", cover, 0
        order.failed_at = order.next_at = order.asked_at = None
        order.save()
        changed.append(order)
    return changed


def _wanted(hosts: set[str]) -> set[str]:
    """Those that somebody wants an automatic certificate for."""
    domains = Domain.objects.filter(host__in=hosts, https=HttpsBy.AUTOMATIC, app__deleted_at=None)
    end = f".{base_domain()}"
    labels = {host.removesuffix(end) for host in hosts if host.endswith(end)}
    apps = App.objects.filter(label__in=labels, deleted_at=None)
    own = {app.host for app in apps if own_by(app) == HttpsBy.AUTOMATIC}
    by = dashboard_names().items()
    mists = {base_wildcard(), *(host for host, way in by if way == HttpsBy.AUTOMATIC)}
    return {*domains.values_list("host", flat=True), *own, *mists}
