"""Changing who issues certificates and how names are proven, and asking again by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.deployments.tasks import wake
from apps.domains import acme_planning, certificate_tasks
from apps.domains.acme import acme_settings
from apps.domains.acme_models import AcmeSettings, CertificateOrder, DnsAccount
from apps.engine.dns_providers import PROVIDERS
from apps.projects.models import App

OF_SETTINGS = ("is_on", "directory", "email", "eab_key_id", "challenge", "lifetime_hours")
OF_ACCOUNT = ("zones", "servers", "wait_seconds", "looks")
State = CertificateOrder.State


def acme_save(*, eab_key: str | None, changed_by: User | None, **fields: Any) -> AcmeSettings:
    """Change what is set, of `OF_SETTINGS`. Traefik is told behind the page. None keeps the EAB key
    that there is; without a key id there is none."""
    with transaction.atomic():
        row = acme_settings()
        before, old_key, old_directory = facts(row, *OF_SETTINGS), row.eab_key, row.directory
        for name, value in fields.items():
            setattr(row, name, value)
        if eab_key is not None:
            row.eab_key = eab_key
        if not row.eab_key_id:
            row.eab_key = ""
        row.pk = AcmeSettings.ONLY
        row.changed_at, row.changed_by = timezone.now(), changed_by
        _ask_to_apply(row)
        row.save()
        after = facts(row, *OF_SETTINGS)
        if row.eab_key != old_key:
            after["eab_key_is"] = "another"
        record("acme.change", row, name="Certificates", before=before, after=after)
        _give_another_chance(forgets=row.directory != old_directory)
    return row


def dns_account_save(
    *, provider: str, values: Mapping[str, str], created_by: User | None, **fields: Any
) -> DnsAccount:
    """Add the credentials for a (known) provider, or write the ones there are anew. A variable that
    is missing in `values` keeps what it has. `fields` are of `OF_ACCOUNT`."""
    known = PROVIDERS[provider]
    with transaction.atomic():
        old = DnsAccount.objects.select_for_update().filter(provider=provider).first()
        made = old or DnsAccount(provider=provider, created_by=created_by)
        before = {} if old is None else facts(old, *OF_ACCOUNT)
        kept = {} if old is None else old.values
        wanted = {one.name: values.get(one.name, kept.get(one.name, "")) for one in known.variables}
        made.values = {name: value for name, value in wanted.items() if value}
        for name, value in fields.items():
            setattr(made, name, value)
        made.save()
        record(
            "dns_account.add" if old is None else "dns_account.change",
            made,
            name=known.name,
            before=before,
            after=facts(made, *OF_ACCOUNT),
        )
        _apply()
        _give_another_chance()
    return made


def dns_account_remove(*, account: DnsAccount) -> None:
    """Traefik serves a certificate only while it has the resolver that got it: wildcards of its
    zones have none from then on."""
    with transaction.atomic():
        record("dns_account.remove", account, before=facts(account, *OF_ACCOUNT))
        account.delete()
        _apply()


def certificate_retry(*, order: CertificateOrder, app: App | None) -> bool:
    """Have it asked for now, unless that would be too soon. `app` is None for a name of Mist's."""
    now = timezone.now()
    if not acme_planning.may_press(order, now):
        return False
    with transaction.atomic():
        CertificateOrder.objects.filter(pk=order.pk, state=State.FAILED).update(next_at=now)
        record("certificate.retry", order, name=order.host, project=app.project if app else None)
        transaction.on_commit(lambda: wake(certificate_tasks.look_after_certificates))
    return True


# ------------------------------------------------------------------------------------------ parts


def _apply() -> None:
    row = acme_settings()
    row.pk = AcmeSettings.ONLY
    _ask_to_apply(row)
    row.save()


def _ask_to_apply(row: AcmeSettings) -> None:
    row.apply_asked_at, row.apply_problem = timezone.now(), ""
    transaction.on_commit(lambda: wake(certificate_tasks.apply_acme_settings))


def _give_another_chance(*, forgets: bool = False) -> None:
    """What failed may work now. Another issuer knows nothing of earlier failures."""
    failed = CertificateOrder.objects.filter(state=State.FAILED)
    if forgets:
        failed.update(state=State.QUEUED, failures=0, next_at=None, kind="", detail="")
    else:
        failed.exclude(kind="rateLimited").update(next_at=timezone.now())
