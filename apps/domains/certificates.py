"""Which certificate is for which name."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.domains.acme import in_parts, is_public_name
from apps.domains.https import State, certificate_state
from apps.domains.models import Certificate, Domain, LocalCertificate
from apps.engine.certificates import covers
from apps.engine.routes import WILD
from apps.projects.https_models import HttpsBy
from apps.projects.models import App, Project
from apps.system.names import base_domain, chosen_names, dashboard_names

MIST = 0
"""In place of a project's key."""


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
    return {name for name, holders in holders_of(names).items() if holders - {project_id}}


def holders_of(names: Collection[str]) -> dict[str, set[int]]:
    """Name → the projects that hold it, `MIST` for Mist itself, of names that somebody holds."""
    found = defaultdict[str, set[int]](set)
    end = f".{base_domain()}"
    for some in in_parts(names):
        domains = Domain.objects.filter(host__in=some).order_by()
        for host, project_id in domains.values_list("host", "app__project"):
            found[host].add(project_id)
        labels = [name.removesuffix(end) for name in some if name.endswith(end)]
        apps = App.objects.filter(label__in=labels, deleted_at=None).order_by()
        for label, project_id in apps.values_list("label", "project"):
            found[f"{label}{end}"].add(project_id)
    for name in {chosen_names().dashboard} & dashboard_names().keys() & set(names):
        found[name].add(MIST)
    return found


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


def servable(projects: Collection[int]) -> dict[int, list[Certificate]]:
    """Project → its certificates that name nothing which another project holds."""
    rows = Certificate.objects.filter(project__in=projects).defer("key", "chain")
    found = list(rows)
    holders = holders_of({name for one in found for name in one.names}) if found else {}
    fitting = defaultdict[int, list[Certificate]](list)
    for one in found:
        if all(holders.get(name, set()) <= {one.project_id} for name in one.names):
            fitting[one.project_id].append(one)
    return fitting


def chosen(names: Iterable[tuple[int, str]], now: dt.datetime) -> dict[str, Certificate]:
    """Of names with an uploaded certificate, each with its project's key: name → the one to serve
    for it, without its private key."""
    wanting = list(names)
    certificates = servable({project_id for project_id, _ in wanting})
    picked = {host: pick(certificates.get(project, ()), host, now) for project, host in wanting}
    return {host: one for host, one in picked.items() if one is not None}


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
