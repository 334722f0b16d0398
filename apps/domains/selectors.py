"""Reading host names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Q, QuerySet

from apps.deployments.models import Deployment, Status
from apps.domains.hindrance import LEADS_HERE
from apps.domains.models import Domain, NameCheck, TrafficRules, TrafficUser
from apps.engine.name_state import NameState
from apps.engine.routes import WILD
from apps.projects.models import App
from apps.system.names import base_domain, dashboard_names


def rules_of(app: App) -> TrafficRules:
    """The app's rules for all its names; a row that is not saved where there are none yet."""
    found = TrafficRules.objects.filter(app=app, domain=None).first() or TrafficRules()
    found.app = app
    return found


def users_of(app: App) -> QuerySet[TrafficUser]:
    """Visitors with a password, of the app's rules and of its domains', without the hashes."""
    found = TrafficUser.objects.filter(rules__app=app).defer("password_hash")
    return found.select_related("rules__domain", "rules__app__project")


def parted_domains(app: App) -> list[Domain]:
    """Those with rules of their own."""
    return list(domains_of(app).exclude(rules=None))


def maintenance_page(pk: int) -> str | None:
    """The HTML of those rules; empty for Mist's own, None where nothing is in maintenance."""
    row = TrafficRules.objects.filter(pk=pk, maintenance=True, app__deleted_at=None)
    return row.values_list("maintenance_page", flat=True).first()


def ports_of(app: App) -> set[int]:
    """Ports of the app that its addresses lead to, beside its own."""
    found = Domain.objects.filter(app=app).values_list("port", flat=True)
    return {port for port in found if port is not None}


def waiting_ports(app: App) -> set[int]:
    """Ports that addresses lead to from the next deployment on: what is live was started before
    anybody asked for them."""
    live = Deployment.objects.filter(app=app, status=Status.LIVE).first()
    known = {live.port, *live.more_ports} if live else set()
    return ports_of(app) - known


def domains_of(app: App) -> QuerySet[Domain]:
    return Domain.objects.filter(app=app).order_by("-is_primary", "host", "path")


def overlapping(host: str) -> QuerySet[Domain]:
    """Domains whose visitors may be the same as those of `host`: of that name, of a wildcard that
    covers it, and where it is a wildcard itself, of the names that it covers."""
    name, _, parent = host.partition(".")
    same = Q(host=host) | Q(host=f"{WILD}{parent}")
    if f"{name}." == WILD:
        same |= Q(host__regex=rf"^[^.]+\.{parent.replace('.', '[.]')}$")
    return Domain.objects.filter(same).select_related("app__project")


def domains_below(name: str) -> QuerySet[Domain]:
    """Domains of that very name, of its wildcard, or directly below it."""
    below = rf"^[^.]+\.{name.replace('.', '[.]')}$"
    found = Domain.objects.filter(Q(host=name) | Q(host__regex=below))
    return found.select_related("app__project").order_by("host", "path")


def own_holder(host: str) -> str | None:
    """Who has a name that Mist itself gives out: a sentence's subject, or None."""
    base = base_domain()
    if host in (base, f"{WILD}{base}", *dashboard_names()) or host.endswith(".mist.internal"):
        return "Mist itself"
    if host.endswith(f".{base}"):
        label = host.removesuffix(f".{base}")
        app = App.objects.select_related("project").filter(label=label).first()
        if app is not None:
            return f"the app {app}"
    return None


# -------------------------------------------------------------------------- what the DNS said last


def leads_here(host: str) -> bool | None:
    """Whether visitors from everywhere reach this server by the name (or, of `*.example.com`, by
    any name directly below), all of its addresses considered. None where that is not known: it was
    not asked for yet, the DNS did not answer, or nobody told the server's public address.

    Of a name behind a proxy (Cloudflare) True: where that leads, only its owner sees. Whether a
    certificate may be asked for is another question (`hindrance`).
    """
    found = NameCheck.objects.filter(host=host).values_list("state", flat=True).first()
    return LEADS_HERE.get(NameState(found)) if found else None


def is_public_name(host: str) -> bool:
    """Whether the DNS knows of such names at all: of those below localhost each machine decides
    itself (RFC 6761)."""
    return "." in host and not f".{host}".endswith((".localhost", ".internal"))


def names_in_use() -> set[str]:
    """Names that somebody expects to lead here: those of domains, and those that Mist gives out."""
    found = set(Domain.objects.values_list("host", flat=True).distinct())
    base = base_domain()
    if is_public_name(f"app.{base}"):
        apps = App.objects.filter(deleted_at=None).exclude(health_check=App.HealthCheck.UP)
        found |= {app.host for app in apps.only("label")}
        found.add(f"{WILD}{base}")
    found.update(dashboard_names())
    return {name for name in found if is_public_name(name)}


AT_ONCE = 200
"""Rows that are written in one go: nobody else writes meanwhile."""


def parts_of(hosts: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many at a time: with another base domain the names of all apps change at once."""
    return (hosts[start : start + AT_ONCE] for start in range(0, len(hosts), AT_ONCE))


def checks_of(hosts: Iterable[str]) -> dict[str, NameCheck]:
    """Host → what the DNS said of it, of those that are checked."""
    return {one.host: one for one in NameCheck.objects.filter(host__in=set(hosts))}
