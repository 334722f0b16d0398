"""Which certificate is for which name, and what is decided for the names of apps."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.domains.acme import (
    is_public_name,
    orders_of,
    resolvers_for,
    without_credentials,
)
from apps.domains.hindrance import Hindrance, hindrances
from apps.domains.https import (
    Rules,
    State,
    Wish,
    certificate_state,
    https_of,
    state_of,
)
from apps.domains.models import (
    Certificate,
    CertificateOrder,
    Domain,
    LocalCertificate,
    NameCheck,
    ServedCertificate,
)
from apps.engine.acme import HTTP_RESOLVER
from apps.engine.certificates import covers
from apps.engine.routes import WILD, Https
from apps.projects.https_models import HttpsBy, Redirect, TlsMinimum
from apps.projects.models import App, Project
from apps.system.names import base_domain, chosen_names, dashboard_names


def certificates_of(project: Project | int) -> QuerySet[Certificate]:
    """Newest first, without their keys."""
    found = Certificate.objects.filter(project=project).select_related("created_by")
    return found.defer("key").order_by("-created_at", "-id")


def own_by(app: App) -> HttpsBy:
    """Where the certificate of the app's own name comes from."""
    if app.own_https:
        return HttpsBy(app.own_https)
    return HttpsBy.AUTOMATIC if is_public_name(app.host) else HttpsBy.OFF


def pick(certificates: Iterable[Certificate], host: str, now: dt.datetime) -> Certificate | None:
    """The one to serve for the name: of those that are for it and valid the one brought last. None
    that has ended takes the place of one that has not."""
    fitting = [one for one in certificates if covers(one.names, host)]
    valid = [one for one in fitting if one.not_before <= now < one.not_after]
    return max(valid or fitting, key=lambda one: (one.created_at, one.pk), default=None)


def names_of_others(project_id: int, names: Collection[str]) -> set[str]:
    """Those of the names that other projects hold, or Mist itself. Traefik serves a certificate to
    whoever asks for any name in it, so one for such a name would be served to their visitors."""
    held = set(
        Domain.objects.filter(host__in=names)
        .exclude(app__project=project_id)
        .values_list("host", flat=True)
    )
    end = f".{base_domain()}"
    labels = [name.removesuffix(end) for name in names if name.endswith(end)]
    apps = App.objects.filter(label__in=labels, deleted_at=None).exclude(project=project_id)
    mists = {chosen_names().dashboard} & dashboard_names().keys() & set(names)
    return held | {app.host for app in apps} | mists


def below_wildcards_of_others(project_id: int, names: Collection[str]) -> set[str]:
    """Names of other projects, or of Mist itself, for which a wildcard among these is, too. While
    it lies ready Traefik asks no issuer for those, and serves it instead."""
    ends = [name.removeprefix("*") for name in names if name.startswith(WILD)]
    if not ends:
        return set()
    below = reduce(or_, (Q(host__endswith=end) for end in ends))
    others = Domain.objects.filter(below).exclude(app__project=project_id)
    held = {*others.values_list("host", flat=True), *dashboard_names()}
    if f".{base_domain()}" in ends:
        apps = App.objects.filter(deleted_at=None).exclude(project=project_id)
        held |= {app.host for app in apps}
    return {host for host in held if covers(names, host) and host not in names}


def servable(project_id: int) -> list[Certificate]:
    """Certificates of the project that name nothing which another project holds."""
    found = list(certificates_of(project_id))
    foreign = names_of_others(project_id, {name for one in found for name in one.names})
    return [one for one in found if not foreign & set(one.names)]


def chosen(names: Iterable[tuple[int, str]], now: dt.datetime) -> dict[str, Certificate]:
    """Of names with an uploaded certificate, each with its project's key: name → the one to serve
    for it, without its private key."""
    of_project = defaultdict[int, list[str]](list)
    for project_id, host in names:
        of_project[project_id].append(host)
    found: dict[str, Certificate] = {}
    for project_id, hosts in of_project.items():
        certificates = servable(project_id)
        picked = {host: pick(certificates, host, now) for host in hosts}
        found |= {host: one for host, one in picked.items() if one is not None}
    return found


def covering(hosts: Collection[str]) -> dict[str, str]:
    """Name → the certificate that lies ready for another name and is for this one besides, as a
    sentence has it. Traefik asks no issuer for what it has, whoever gave it. Two queries while
    nothing could be."""
    now = timezone.now()
    parents = {f"{WILD}{host.partition('.')[2]}" for host in hosts if not host.startswith(WILD)}
    signed = LocalCertificate.objects.filter(host__in=parents).values_list("host", flat=True)
    found = {
        host: f"the self-signed certificate {name}"
        for name in signed
        for host in hosts
        if covers([name], host)
    }
    rows = Certificate.objects.defer("key", "chain")
    wide = [one for one in rows if any(covers(one.names, host) for host in hosts)]
    if not wide:
        return found
    projects = {one.project_id for one in wide}
    apps = App.objects.filter(project__in=projects, deleted_at=None)
    wanting = [(app.project_id, app.host) for app in apps.filter(own_https=HttpsBy.OWN)]
    domains = Domain.objects.filter(app__in=apps, https=HttpsBy.OWN)
    wanting += domains.values_list("app__project", "host")
    for one in set(chosen(wanting, now).values()):
        ended = " (ended)" if one.not_after <= now else ""
        whose = f"the uploaded certificate {one}{ended}"
        found |= {host: whose for host in hosts if covers(one.names, host)}
    return found


@dataclass(frozen=True)
class Row:
    """One certificate as the project's page shows it."""

    certificate: Certificate
    used_by: list[str]
    """Names that are answered with it."""
    state: State


def rows_of(project: Project) -> list[Row]:
    """In five queries, however many there are."""
    now, certificates = timezone.now(), list(certificates_of(project))
    if not certificates:
        return []
    domains = Domain.objects.filter(app__project=project, https=HttpsBy.OWN)
    hosts = {*domains.order_by().values_list("host", flat=True)}
    apps = App.objects.filter(project=project, deleted_at=None, own_https=HttpsBy.OWN)
    hosts |= {app.host for app in apps}
    foreign = names_of_others(project.pk, {name for one in certificates for name in one.names})
    served = [one for one in certificates if not foreign & set(one.names)]
    picked = {host: pick(served, host, now) for host in sorted(hosts)}
    return [
        Row(
            one,
            [host for host, choice in picked.items() if choice is one],
            certificate_state(one.not_after, sorted(foreign & set(one.names)), now),
        )
        for one in certificates
    ]


@dataclass(frozen=True)
class Known:
    """What the decisions for some names are made from."""

    served: Mapping[str, ServedCertificate]
    certificates: Sequence[Certificate]
    """Of the app's project."""
    strict: Collection[str]
    """Names of which some app accepts TLS 1.3 only: Traefik has one rule for a name."""
    resolvers: Mapping[str, str]
    """Name → who gets an automatic certificate for it."""
    now: dt.datetime
    orders: Mapping[str, CertificateOrder] = field(default_factory=dict)
    """Name → how far its automatic certificate is; to show only."""
    hindered: Mapping[str, Hindrance] = field(default_factory=dict)
    """What is in the way of those that nobody is asked for; to show only."""

    @property
    def orders_to_tell(self) -> list[CertificateOrder]:
        """Of names that were refused a certificate, or whose renewal fails."""
        return [one for one in self.orders.values() if one.is_in_trouble]

    def wish(self, host: str, by: HttpsBy) -> Wish:
        if by == HttpsBy.AUTOMATIC:
            return Wish(by, resolver=self.resolvers.get(host, ""))
        if by == HttpsBy.OWN:
            mine = pick(self.certificates, host, self.now)
            return Wish(by, fingerprint=mine.fingerprint if mine is not None else "")
        return Wish(by)

    def https(self, app: App, host: str, by: HttpsBy) -> Https | None:
        rules = Rules(
            redirect=Redirect(app.https_redirect),
            hsts_seconds=app.hsts_seconds,
            is_strict=host in self.strict or app.tls_minimum == TlsMinimum.TLS13,
            port=settings.MIST_ENGINE_CONFIG.https_port,
        )
        served = self.served.get(host)
        return https_of(self.wish(host, by), served=served, rules=rules, now=self.now)

    def state(self, host: str, by: HttpsBy) -> State:
        return state_of(
            self.wish(host, by),
            served=self.served.get(host),
            host=host,
            now=self.now,
            order=self.orders.get(host),
            hindrance=self.hindered.get(host, Hindrance.NONE),
        )


def known_of(
    app: App,
    domains: Sequence[Domain],
    *,
    to_show: bool = False,
    checks: Mapping[str, NameCheck] | None = None,
) -> Known:
    """In at most seven queries; in five `to_show` states, three where the `checks` of the names are
    given, one more for wildcards that nobody is asked for. For a state a certificate that may not
    be served counts too: that it is not served is seen. Then nothing is put in line either."""
    hosts = {app.host, *(one.host for one in domains)}
    served = {one.host: one for one in ServedCertificate.objects.filter(host__in=hosts)}
    wants_own = {HttpsBy.OWN} & {own_by(app), *(HttpsBy(one.https) for one in domains)}
    certificates = list[Certificate]()
    if wants_own:
        certificates = (
            list(certificates_of(app.project_id)) if to_show else servable(app.project_id)
        )
    strict: set[str] = set()
    if not to_show and any(one.path for one in domains):
        # Paths of a name may lead to several apps.
        others = Domain.objects.filter(host__in=hosts, app__tls_minimum=TlsMinimum.TLS13)
        strict = set(others.values_list("host", flat=True))
    automatic = [one.host for one in domains if one.https == HttpsBy.AUTOMATIC]
    if own_by(app) == HttpsBy.AUTOMATIC:
        automatic.append(app.host)
    return known_with(served, automatic, certificates, strict, to_show=to_show, checks=checks)


def known_with(
    served: Mapping[str, ServedCertificate],
    automatic: Iterable[str],
    certificates: Sequence[Certificate] = (),
    strict: Collection[str] = (),
    *,
    to_show: bool = False,
    checks: Mapping[str, NameCheck] | None = None,
) -> Known:
    """With who gets a certificate for the `automatic` names, or `to_show` how far that is."""
    now, automatic = timezone.now(), list(automatic)
    if not to_show:
        return Known(served, certificates, strict, resolvers_for(automatic), now)
    orders = orders_of(automatic)
    asked = {host: HTTP_RESOLVER for host, order in orders.items() if order.is_asked}
    in_line = [one.host for one in orders.values() if one.state == CertificateOrder.State.QUEUED]
    hindered = hindrances(in_line, checks)
    # Told of no resolver Traefik neither asks for it nor renews it.
    not_asked = [host for host in automatic if host not in asked]
    hindered |= dict.fromkeys(without_credentials(not_asked), Hindrance.CREDENTIALS)
    return Known(served, certificates, strict, asked, now, orders, hindered)


def https_of_app(app: App, domains: Sequence[Domain]) -> dict[str, Https | None]:
    """Name → how it is answered over HTTPS, of the app's own name and these."""
    known = known_of(app, domains)
    found = {one.host: known.https(app, one.host, HttpsBy(one.https)) for one in domains}
    return {app.host: known.https(app, app.host, own_by(app)), **found}
