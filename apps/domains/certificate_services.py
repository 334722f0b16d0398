"""Bringing, removing and asking for certificates, and how an app's names are answered."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.deployments.services import app_publish
from apps.deployments.tasks import wake
from apps.domains.certificates import below_wildcards_of_others, names_of_others, own_by
from apps.domains.models import Certificate, CertificateOrder, Domain, ServedCertificate
from apps.domains.serving import decide_sending_on
from apps.domains.tasks import look_at_certificates, settle_certificates
from apps.engine.certificate_checks import browsers_know, check_key_pair
from apps.engine.certificates import listed
from apps.engine.errors import CertificateRefused
from apps.projects.https_models import HttpsBy
from apps.projects.models import App, Project

SHOWN = ("names", "issuer", "not_before", "not_after", "fingerprint")
"""What is said of a certificate; its key is said to nobody."""
OF_APP = ("own_https", "https_redirect", "hsts_seconds", "tls_minimum")


def certificate_save(
    *, project: Project, chain: str, key: str, created_by: User | None, host: str = ""
) -> Certificate:
    """Keep a certificate for the project's names, in place of one for the very same names; served
    within a second where a name asks for it. With `host` it has to be for that.

    Raises `CertificateRefused`, which says of which of the two.
    """
    found, pair = check_key_pair(chain=chain, key=key, now=timezone.now(), host=host)
    names = sorted(found.names)
    if foreign := names_of_others(project.pk, names):
        raise CertificateRefused(
            "chain",
            f"This certificate is also for {listed(sorted(foreign))}, which another project, or "
            "Mist itself, has: it would be served to its visitors.",
        )
    if not browsers_know(pair.chain) and (below := below_wildcards_of_others(project.pk, names)):
        raise CertificateRefused(
            "chain",
            f"This certificate is also for {listed(sorted(below))}, which another project, or Mist "
            "itself, has: visitors there would get it instead of one that browsers know.",
            hint="Name your hosts in it one by one, in place of the wildcard.",
        )
    with transaction.atomic():
        rows = Certificate.objects.filter(project=project).defer("key")
        old = next((one for one in rows if one.names == names), None)
        before = {} if old is None else facts(old, *SHOWN)
        made = Certificate(
            pk=old.pk if old is not None else None,
            project=project,
            names=names,
            issuer=found.issuer,
            not_before=found.not_before,
            not_after=found.not_after,
            fingerprint=found.fingerprint,
            chain=pair.chain,
            key=pair.key,
            created_by=created_by,
        )
        made.save()
        record(
            "certificate.add" if old is None else "certificate.replace",
            made,
            before=before,
            after=facts(made, *SHOWN),
        )
        _certificates_changed(project)
    return made


def certificate_remove(*, certificate: Certificate) -> None:
    """Its key is gone, here and from the proxy's files; names that had it are answered over plain
    HTTP, or with another one that is for them."""
    project = certificate.project
    with transaction.atomic():
        record("certificate.remove", certificate, before=facts(certificate, *SHOWN))
        certificate.delete()
        _certificates_changed(project)


def https_change(*, app: App, **settings: Any) -> App:
    """Change how the app's names are answered over HTTPS; `settings` are of `OF_APP`. Live within a
    second."""
    with transaction.atomic():
        before = facts(App.objects.select_for_update().get(pk=app.pk), *OF_APP)
        for name, value in settings.items():
            setattr(app, name, value)
        app.save(update_fields=list(settings))
        after = facts(app, *OF_APP)
        if own_by(app) != HttpsBy.AUTOMATIC:
            _ask_no_more(app.host)
        if before != after:
            record("app.https", app, before=before, after=after)
        _publish(app)
        hosts = Domain.objects.filter(app=app).values("host")
        sharing = Domain.objects.filter(host__in=hosts).exclude(app=app).values("app")
        for other in App.objects.filter(pk__in=sharing).select_related("project"):
            _publish(other)
        transaction.on_commit(lambda: wake(settle_certificates))
    return app


def domain_https(*, domain: Domain, by: HttpsBy) -> None:
    """Where the certificate of the domain's name comes from: for all its paths. Part of a change
    that whoever calls records and publishes."""
    others = Domain.objects.filter(host=domain.host).exclude(https=by)
    apps = set(others.exclude(app=domain.app_id).values_list("app", flat=True))
    others.update(https=by)
    domain.https = by
    _ask_again([domain.host])
    if by != HttpsBy.AUTOMATIC:
        _ask_no_more(domain.host)
    decide_sending_on(domain.app)
    for other in App.objects.filter(pk__in=apps).select_related("project"):
        _publish(other)
    transaction.on_commit(lambda: wake(settle_certificates))


def served_check(*, app: App) -> None:
    """Look at once at what visitors of the app's names get."""
    hosts = [app.host, *Domain.objects.filter(app=app).values_list("host", flat=True)]
    with transaction.atomic():
        record("app.check_https", app)
        ServedCertificate.objects.filter(host__in=hosts).update(next_look_at=timezone.now())
        transaction.on_commit(lambda: wake(settle_certificates, look_at_certificates))


# ------------------------------------------------------------------------------------------ parts


def _certificates_changed(project: Project) -> None:
    """Whatever the project's names are answered with may be another one now."""
    own = Domain.objects.filter(app__project=project, https=HttpsBy.OWN)
    apps = App.objects.filter(project=project, deleted_at=None).select_related("project")
    for app in apps:
        if app.own_https == HttpsBy.OWN or own.filter(app=app).exists():
            _publish(app)
            hosts = own.filter(app=app).values_list("host", flat=True)
            _ask_again([app.host, *hosts])
    transaction.on_commit(lambda: wake(settle_certificates))


def _ask_again(hosts: list[str]) -> None:
    rows = ServedCertificate.objects.filter(host__in=hosts)
    rows.update(next_look_at=timezone.now())


def _ask_no_more(host: str) -> None:
    """Nobody waits for an issuer's certificate for that name."""
    CertificateOrder.objects.filter(host=host).delete()


def _publish(app: App) -> None:
    decide_sending_on(app)
    app_publish(app=app)
