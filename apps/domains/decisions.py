"""How names are answered over HTTPS, as the database has what that is decided from: of as many apps
at once as one likes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.utils import timezone

from apps.domains.acme import in_parts, orders_of, stand_in_line, turns_of, without_credentials
from apps.domains.certificates import certificates_of, own_by, pick, servable
from apps.domains.hindrance import Hindrance, hindrances
from apps.domains.https import Rules, State, Wish, https_of, state_of
from apps.domains.models import Certificate, CertificateOrder, Domain, NameCheck, ServedCertificate
from apps.engine.acme import HTTP_RESOLVER
from apps.engine.routes import Https
from apps.projects.https_models import HttpsBy, Redirect, TlsMinimum
from apps.projects.models import App


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
    app: App, domains: Sequence[Domain], *, checks: Mapping[str, NameCheck] | None = None
) -> Known:
    """To show states: in five queries, three where the `checks` of the names are given, one more
    for wildcards that nobody is asked for. A certificate that may not be served counts too: that it
    is not served is seen."""
    ways = _ways(app, domains)
    served = {one.host: one for one in ServedCertificate.objects.filter(host__in=ways)}
    wants_own = HttpsBy.OWN in ways.values()
    certificates = list(certificates_of(app.project_id)) if wants_own else []
    return known_to_show(served, _automatic(ways), certificates, checks=checks)


def known_to_show(
    served: Mapping[str, ServedCertificate],
    automatic: Iterable[str],
    certificates: Sequence[Certificate] = (),
    *,
    checks: Mapping[str, NameCheck] | None = None,
) -> Known:
    """With how far the certificates of the `automatic` names are. Nothing is put in line."""
    automatic = list(automatic)
    orders = orders_of(automatic)
    asked = {host: HTTP_RESOLVER for host, order in orders.items() if order.is_asked}
    in_line = [one.host for one in orders.values() if one.state == CertificateOrder.State.QUEUED]
    hindered = hindrances(in_line, checks)
    # Told of no resolver Traefik neither asks for it nor renews it.
    not_asked = [host for host in automatic if host not in asked]
    hindered |= dict.fromkeys(without_credentials(not_asked), Hindrance.CREDENTIALS)
    return Known(served, certificates, (), asked, timezone.now(), orders, hindered)


@dataclass(frozen=True)
class Decided:
    """How the names of one app are answered."""

    https: Mapping[str, Https | None]
    """By name."""
    unasked: frozenset[str]
    """Those for which a certificate is wanted and that do not stand in line yet."""


def decide(names: Mapping[App, Sequence[Domain]]) -> dict[App, Decided]:
    """What holds for each app's own name and for its domains. Writes nothing, and asks as often for
    many apps as for one, but for one more time each thousand names (`in_parts`)."""
    ways = {app: _ways(app, domains) for app, domains in names.items()}
    hosts = {host for its in ways.values() for host in its}
    served, strict = dict[str, ServedCertificate](), set[str]()
    # Paths of a name may lead to several apps.
    of_strict_apps = Domain.objects.filter(app__tls_minimum=TlsMinimum.TLS13).order_by()
    for some in in_parts(hosts):
        rows = ServedCertificate.objects.filter(host__in=some).order_by()
        served |= {one.host: one for one in rows}
        strict.update(of_strict_apps.filter(host__in=some).values_list("host", flat=True))
    with_own = {app.project_id for app, its in ways.items() if HttpsBy.OWN in its.values()}
    certificates = servable(with_own) if with_own else {}
    turns = turns_of({host for its in ways.values() for host in _automatic(its)})
    known = Known(served, (), strict, turns.resolvers, timezone.now())
    found = {}
    for app, its in ways.items():
        of_app = replace(known, certificates=certificates.get(app.project_id, ()))
        https = {host: of_app.https(app, host, by) for host, by in its.items()}
        found[app] = Decided(https, turns.unasked.intersection(_automatic(its)))
    return found


def https_of_app(app: App, domains: Sequence[Domain]) -> Mapping[str, Https | None]:
    """Name → how it is answered over HTTPS, of the app's own name and these. Those that should
    stand in line for a certificate do so from now on."""
    decided = decide({app: domains})[app]
    stand_in_line(decided.unasked)
    return decided.https


def _ways(app: App, domains: Sequence[Domain]) -> dict[str, HttpsBy]:
    """Name → where its certificate comes from."""
    return {app.host: own_by(app)} | {one.host: HttpsBy(one.https) for one in domains}


def _automatic(ways: Mapping[str, HttpsBy]) -> list[str]:
    return [host for host, by in ways.items() if by == HttpsBy.AUTOMATIC]
