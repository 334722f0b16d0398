"""This Mist's own authority: made when the first name wants it, its leaves renewed in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from cryptography import x509
from django.conf import settings
from django.utils import timezone

from apps.domains.models import LocalAuthority, LocalCertificate
from apps.engine.certificates import KeyPair
from apps.engine.local_authority import RENEW_DAYS, issue_leaf, make_root


def local_root() -> str:
    """Its certificate, for people to trust; empty while there is none."""
    found = LocalAuthority.objects.defer("key").first()
    return found.root if found is not None else ""


def local_authority() -> LocalAuthority:
    """Made at the first time; of two that are made at once, one stays."""
    found = LocalAuthority.objects.first()
    if found is not None and not _ends_soon(_end_of(found.root), days=365):
        return found
    pair = make_root(name=settings.MIST_ENGINE_CONFIG.instance, now=timezone.now())
    if found is not None:
        LocalAuthority.objects.filter(pk=found.pk).delete()
    made, _ = LocalAuthority.objects.get_or_create(
        id=LocalAuthority.ONLY, defaults={"root": pair.chain, "key": pair.key}
    )
    return made


def local_pairs(hosts: Collection[str]) -> list[KeyPair]:
    """A valid certificate for each of these names; those that lack one, or whose one ends soon, get
    a new one. What no name wants any more is forgotten. Raises `SecretsUnreadable`."""
    LocalCertificate.objects.exclude(host__in=hosts).delete()
    if not hosts:
        return []
    authority = local_authority()
    there = {one.host: one for one in LocalCertificate.objects.filter(host__in=hosts)}
    for host in hosts:
        if (one := there.get(host)) is None or not _is_good(one, authority):
            there[host] = _issue(authority, host)
    return [there[host].pair for host in sorted(there)]


def _issue(authority: LocalAuthority, host: str) -> LocalCertificate:
    pair = issue_leaf(authority.pair, host=host, now=timezone.now())
    fields = {"chain": pair.chain, "key": pair.key, "not_after": _end_of(pair.chain)}
    made, _ = LocalCertificate.objects.update_or_create(
        host=host, defaults=fields | {"created_at": timezone.now()}
    )
    return made


def _is_good(one: LocalCertificate, authority: LocalAuthority) -> bool:
    return not _ends_soon(one.not_after, days=RENEW_DAYS) and one.created_at > authority.created_at


def _ends_soon(end: dt.datetime, *, days: int) -> bool:
    return end - timezone.now() < dt.timedelta(days=days)


def _end_of(pem: str) -> dt.datetime:
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
