"""Adding, changing, moving and removing host names."""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.deployments.services import app_publish
from apps.deployments.tasks import wake
from apps.domains import tasks
from apps.domains.certificate_services import domain_https
from apps.domains.models import Domain, NameCheck, TrafficRules
from apps.domains.selectors import is_public_name, overlapping, own_holder
from apps.domains.serving import decide_sending_on
from apps.domains.tasks import settle_certificates
from apps.engine.errors import InvalidSource
from apps.engine.routes import check_host_pattern, check_path_prefix
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from apps.system.names import base_domain, names_lock

logger = logging.getLogger("mist.domains")
OF_DOMAIN = ("path", "strips_path", "port", "is_primary", "redirects", "https")
"""What can be set for one."""


def domain_add(*, app: App, host: str, created_by: User | None, **settings: Any) -> Domain:
    """Lead one more host name to the app, or one path of it, within a second and without
    restarting it. `settings` are of `OF_DOMAIN`.

    Raises `InvalidSource` for a name that is none, is taken, or is kept for Mist.
    """
    name = check_host_pattern(host.strip())
    settings["path"] = check_path_prefix(settings.get("path", ""))
    with names_lock(), transaction.atomic():
        _see_that_it_is_free(app, name, settings["path"])
        if settings.get("is_primary"):
            _no_other_primary(app)
        domain = Domain(app=app, host=name, created_by=created_by, **settings)
        _see_that_it_fits(domain)
        https = _https_of_name(domain)
        _save(domain)
        domain_https(domain=domain, by=https)
        record("domain.add", domain, name=f"{app} {domain}", after=_facts(domain))
        app_publish(app=app)
        _ask_for(domain.host)
    return domain


def domain_change(*, domain: Domain, **settings: Any) -> Domain:
    """Change what leads where, live within a second. Raises `InvalidSource` as `domain_add`."""
    if "path" in settings:
        settings["path"] = check_path_prefix(settings["path"])
    with transaction.atomic():
        before = _facts(Domain.objects.select_for_update().get(pk=domain.pk))
        if settings.get("path", domain.path) != domain.path:
            _see_that_it_is_free(domain.app, domain.host, settings["path"], but=domain)
        if settings.get("is_primary"):
            _no_other_primary(domain.app, but=domain)
        https = HttpsBy(settings.get("https", domain.https))
        for name, value in settings.items():
            setattr(domain, name, value)
        _see_that_it_fits(domain)
        _save(domain)
        domain_https(domain=domain, by=https)
        after = _facts(domain)
        if before != after:
            name = f"{domain.app} {domain}"
            record("domain.change", domain, name=name, before=before, after=after)
        app_publish(app=domain.app)
    return domain


def domain_move(*, domain: Domain, to: App) -> Domain:
    """Lead it to another app without a moment in which it leads nowhere. It is no primary name
    there. Raises `InvalidSource` when it would be in the way of something."""
    with transaction.atomic():
        was = Domain.objects.select_for_update().select_related("app__project").get(pk=domain.pk)
        if was.app_id == to.pk:
            return domain
        _see_that_it_is_free(to, was.host, was.path, but=was)
        if was.moved_from is not None:
            app_publish(app=was.moved_from)
        domain.moved_from, domain.app = was.app, to
        domain.is_primary = domain.redirects = False
        domain.save()
        TrafficRules.objects.filter(domain=domain).update(app=to)
        decide_sending_on(to)
        before, after = {"app": str(was.app)}, {"app": str(to)}
        record("domain.move", domain, name=f"{to} {domain}", before=before, after=after)
        # The other app's routes follow when these are written.
        app_publish(app=to)
    return domain


def domain_remove(*, domain: Domain) -> None:
    """The host name is free again; the app is not restarted."""
    with transaction.atomic():
        app = domain.app
        record("domain.remove", domain, name=f"{app} {domain}", before=_facts(domain))
        domain.delete()
        app_publish(app=app)
        transaction.on_commit(lambda: wake(settle_certificates))


def name_check(*, app: App, host: str) -> None:
    """Have the DNS asked for a name of the app; the pages show the answer when it is there."""
    with transaction.atomic():
        record("name.check", app, name=f"{app} {host}")
        _ask_for(host)


def base_check(*, host: str) -> None:
    """The same for a name of Mist's own: its base domain's wildcard, or the dashboard's."""
    if not is_public_name(host):
        return
    with transaction.atomic():
        record("name.check", name=host)
        _ask_for(host)


def name_look_up(*, host: str) -> None:
    """The same for a name that Mist has just begun to give out or to use."""
    with transaction.atomic():
        _ask_for(host)


# ------------------------------------------------------------------------------------------ parts


def _ask_for(host: str) -> None:
    """Asked for often from now on, unless all is well."""
    if not is_public_name(host):
        return
    now = timezone.now()
    made, is_new = NameCheck.objects.get_or_create(host=host, defaults={"asked_at": now})
    if not is_new:
        made.asked_at = now
        made.wrong_since = made.wrong_since and now
        made.save(update_fields=["asked_at", "wrong_since"])
    transaction.on_commit(lambda: _wake(host))


def _wake(host: str) -> None:
    try:
        tasks.check_name.delay(host)
    except Exception as error:
        # The schedule finds it.
        logger.warning("The broker does not answer: %r", error)


def _https_of_name(domain: Domain) -> HttpsBy:
    """What was chosen, else what the name's other paths have."""
    chosen = HttpsBy(domain.https)
    there = Domain.objects.filter(host=domain.host).values_list("https", flat=True).first()
    return HttpsBy(there) if there and chosen == HttpsBy.AUTOMATIC else chosen


def _facts(domain: Domain) -> dict[str, Any]:
    found = facts(domain, *OF_DOMAIN)
    usual = ("", None, False, HttpsBy.AUTOMATIC)
    return {name: value for name, value in found.items() if value not in usual}


def _save(domain: Domain) -> None:
    try:
        with transaction.atomic():
            domain.save()
    except IntegrityError as error:
        raise InvalidSource(f"{domain.shown} was taken a moment ago. Try again.") from error


def _see_that_it_is_free(app: App, host: str, path: str, *, but: Domain | None = None) -> None:
    """One name is for one project: who holds `example.com/` shall not lose `example.com/login` to
    a stranger. Within a project its paths may lead to several apps."""
    if (holder := own_holder(host)) is not None:
        raise InvalidSource(f"{host} belongs to {holder} already.")
    base = base_domain()
    if host.endswith(f".{base}") and "." not in host.removesuffix(f".{base}"):
        raise InvalidSource(
            f"Names directly below {base} are given out by Mist.",
            hint="Add a name of your own, for example shop.example.com.",
        )
    for other in overlapping(host).exclude(pk=but.pk if but else 0):
        if (other.host, other.path) == (host, path):
            whose = f"the app {other.app}"
        elif other.app.project_id != app.project_id:
            whose = "another project"
        else:
            continue
        raise InvalidSource(f"{host}{path} belongs to {whose} already.")


def _see_that_it_fits(domain: Domain) -> None:
    if domain.is_primary and (domain.is_wild or domain.path or domain.redirects):
        raise InvalidSource(
            "The primary name is one name, for all paths, that does not redirect itself."
        )


def _no_other_primary(app: App, *, but: Domain | None = None) -> None:
    Domain.objects.filter(app=app, is_primary=True).exclude(pk=but.pk if but else 0).update(
        is_primary=False
    )
