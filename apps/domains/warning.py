"""Telling people of certificates that end soon, once for each."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from apps.accounts.mail import mail_is_set_up, send_mail
from apps.accounts.models import InstanceRole, User
from apps.domains.https import day, in_days
from apps.domains.models import Domain, ServedCertificate
from apps.projects.models import App, Project, ProjectRole
from apps.system.names import dashboard_names
from apps.system.planning import dashboard_url

Kind = ServedCertificate.Kind


def ending() -> list[ServedCertificate]:
    return list(ServedCertificate.objects.ending(timezone.now()).order_by("not_after", "host"))


def apps_of(rows: list[ServedCertificate]) -> dict[str, App]:
    """Host → an app that has the name."""
    hosts = {row.host for row in rows}
    apps = App.objects.filter(deleted_at=None).select_related("project")
    domains = Domain.objects.filter(host__in=hosts, app__in=apps).select_related("app__project")
    found = {one.host: one.app for one in domains}
    labels = [host.partition(".")[0] for host in hosts - found.keys()]
    return {app.host: app for app in apps.filter(label__in=labels) if app.host in hosts} | found


@dataclass(frozen=True)
class Note:
    """What a page says of a certificate that needs somebody."""

    app: App | None
    """None where the name is the dashboard's."""
    host: str
    words: str
    """`ends in 9 days`"""
    is_over: bool


def notes_for(apps: Iterable[App]) -> list[Note]:
    """Of apps with what `apps_to_look_at` adds."""
    found: list[Any] = [app for app in apps if getattr(app, "ending_at", None) is not None]
    return [_note(app, app.ending_host, app.ending_at) for app in found]


def notes_of(app: App, hosts: Collection[str]) -> list[Note]:
    """Of one app whose names these are."""
    return [_note(app, row.host, row.not_after) for row in ending() if row.host in hosts]


def notes_of_dashboard() -> list[Note]:
    """Of Mist's own names: one query where there are any, else none."""
    names = dashboard_names()
    rows = ServedCertificate.objects.ending(timezone.now()).filter(host__in=names) if names else ()
    return [_note(None, row.host, row.not_after) for row in rows]


def _note(app: App | None, host: str, ends: dt.datetime | None) -> Note:
    now = timezone.now()
    assert ends is not None
    if ends <= now:
        return Note(app, host, f"ended on {day(ends, now)}", True)
    return Note(app, host, f"ends {in_days(ends - now)}", False)


def warn_by_mail() -> int:
    """Mail owners and admins of projects, and of the dashboard's name this Mist's owners; how many
    certificates that was of. Nothing is sent twice, and nothing is lost while there is no mail
    server."""
    if not mail_is_set_up():
        return 0
    now = timezone.now()
    rows = [row for row in ending() if row.warned_of != row.fingerprint]
    rows = [row for row in rows if row.not_after is not None and row.not_after > now]
    apps: dict[str, App | None] = {**apps_of(rows), **dict.fromkeys(dashboard_names())}
    together = defaultdict[tuple[str, int | None], list[ServedCertificate]](list)
    for row in rows:
        if row.host in apps:
            app = apps[row.host]
            together[row.fingerprint, app.project_id if app else None].append(row)
    told = 0
    for (fingerprint, _), group in together.items():
        # Before it is sent: two workers tell nobody twice, and who dies here tells nobody at all.
        mine = ServedCertificate.objects.filter(pk__in=[row.pk for row in group])
        if mine.exclude(warned_of=fingerprint).update(warned_of=fingerprint):
            told += 1
            _mail(group, apps[group[0].host])
    return told


def _mail(rows: list[ServedCertificate], app: App | None) -> None:
    first, now = rows[0], timezone.now()
    assert first.not_after is not None
    project, page = None, reverse("addresses")
    if app is not None:
        project = app.project
        page = reverse("app_domains", args=[project.slug, app.slug])
    ends = in_days(first.not_after - now)
    context = {
        "project": project,
        "names": [row.host for row in rows],
        "issuer": first.issuer,
        "ends": f"{ends}, on {day(first.not_after, now)}",
        "link": dashboard_url() + page,
    }
    text = render_to_string("mail/certificate_ends.txt", context)
    subject = f"The certificate of {first.host} ends {ends}"
    for email in people_to_tell(project):
        send_mail(to=email, subject=subject, text=text)


def people_to_tell(project: Project | None) -> list[str]:
    """Addresses of the project's owner and admins; of this Mist's owners where it has none, or it
    is no project's matter."""
    people = User.objects.filter(is_active=True, deleted_at=None)
    found = people.none()
    if project is not None:
        its = Q(memberships__project=project, memberships__role=ProjectRole.ADMIN)
        found = people.filter(its | Q(pk=project.owner_id)).distinct().order_by("email")
    if not found.exists():
        found = people.filter(role=InstanceRole.OWNER).order_by("email")
    return list(found.values_list("email", flat=True))
