"""All addresses of apps, as the database has them: of as many apps at once as one likes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from apps.domains.decisions import Decided, decide
from apps.domains.models import Domain, TrafficRules
from apps.engine.routes import Https, Route
from apps.engine.traffic_rules import NO_RULES
from apps.engine.traffic_rules import TrafficRules as EngineRules
from apps.projects.https_models import origin
from apps.projects.models import App


@dataclass(frozen=True)
class Addresses:
    """What leads to one app."""

    app: App
    routes: Sequence[Route]
    """Its own name first; also those that leave it for another app whose routes are yet to be
    written."""
    rules: EngineRules = NO_RULES
    """Those that hold where a route has none of its own."""
    unasked: frozenset[str] = frozenset()
    """Names for which a certificate is wanted and that do not stand in line yet."""


def addresses_of(apps: Sequence[App]) -> dict[App, Addresses]:
    """Reads, and writes nothing down. Asks as often for many apps as for one, but for one more time
    each thousand names. Raises `SecretsUnreadable`."""
    domains = _domains_of(apps)
    rules = _rules_of(apps, domains)
    decided = decide(domains)
    return {app: _addresses(app, domains[app], rules[app], decided[app]) for app in apps}


def _domains_of(apps: Sequence[App]) -> dict[App, list[Domain]]:
    by_pk = {app.pk: app for app in apps}
    found: dict[App, list[Domain]] = {app: [] for app in apps}
    for domain in Domain.objects.filter(Q(app__in=by_pk) | Q(moved_from__in=by_pk)):
        for pk in {domain.app_id, domain.moved_from_id}:
            if pk in by_pk:
                found[by_pk[pk]].append(domain)
    return found


def _rules_of(
    apps: Sequence[App], domains: Mapping[App, Sequence[Domain]]
) -> dict[App, dict[int | None, EngineRules]]:
    """By domain, None for those of all others. A name that leaves an app takes its rules along and
    has them in both until it is gone."""
    rows = TrafficRules.objects.filter(Q(app__in=apps) | Q(domain__moved_from__in=apps))
    of_app, of_domain = dict[int, TrafficRules](), dict[int, TrafficRules]()
    for row in rows.prefetch_related("users"):
        if row.domain_id is None:
            of_app[row.app_id] = row
        else:
            of_domain[row.domain_id] = row
    found: dict[App, dict[int | None, EngineRules]] = defaultdict(dict)
    for app in apps:
        its = {one.pk: of_domain[one.pk] for one in domains[app] if one.pk in of_domain}
        general = {None: of_app[app.pk]} if app.pk in of_app else {}
        for key, row in (general | its).items():
            row.app = app
            found[app][key] = row.for_engine()
    return found


def _addresses(
    app: App,
    domains: Sequence[Domain],
    own: Mapping[int | None, EngineRules],
    decided: Decided,
) -> Addresses:
    host, https = app.host, decided.https
    primary = next((one.host for one in domains if one.is_primary and one.app_id == app.pk), host)
    first = Route(host, https=https[host])
    there = https[primary]
    target = origin(primary, https=bool(there and there.redirects))
    more = [
        _route(one, primary, target, own.get(one.pk), https[one.host], first) for one in domains
    ]
    return Addresses(app, [first, *more], own.get(None, NO_RULES), decided.unasked)


def _route(
    domain: Domain,
    primary: str,
    target: str,
    rules: EngineRules | None,
    https: Https | None,
    first: Route,
) -> Route:
    redirects = domain.redirects and domain.host != primary
    is_plain = not (domain.is_wild or domain.path or domain.port or redirects or rules)
    # A router that names share answers them alike.
    is_plain &= https == first.https
    return Route(
        host=domain.host,
        path=domain.path,
        strips=domain.strips_path,
        port=domain.port,
        redirect_to=target if redirects else "",
        key="" if is_plain else f"d{domain.pk}",
        rules=rules,
        https=https,
    )
