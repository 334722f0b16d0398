"""Giving an app what opens its repository, and a project the SSH servers that it trusts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import record
from apps.engine.deploy_keys import new_deploy_key
from apps.engine.known_hosts import HostKey
from apps.projects.models import App, Project
from apps.sources.models import GitCredential, KnownHost


def git_token_save(*, app: App, username: str, token: str, saved_by: User | None) -> None:
    """The app's repository is opened with this token from now on, and with nothing else. Nobody is
    ever shown it again."""
    with transaction.atomic():
        before = _facts(app)
        _put(app, saved_by, kind=GitCredential.Kind.TOKEN, username=username, secret=token)
        after = {"kind": "token", "username": username, "value": "changed"}
        record("git_token.save", app, before=before, after=after)


def deploy_key_make(*, app: App, made_by: User | None) -> GitCredential:
    """A new key for the app in place of whatever opened its repository before."""
    with transaction.atomic():
        before = _facts(app)
        key = new_deploy_key(f"mist-{app.project.slug}-{app.slug}")
        kind = GitCredential.Kind.KEY
        made = _put(app, made_by, kind=kind, secret=key.private, public_key=key.public)
        record("deploy_key.make", app, before=before, after=_facts(app))
    return made


def git_credential_remove(*, app: App) -> None:
    """The repository has to be public from now on. Without a credential nothing happens."""
    with transaction.atomic():
        if before := _facts(app):
            GitCredential.objects.filter(app=app).delete()
            record("git_credential.remove", app, before=before)


def known_host_confirm(
    *, project: Project, keys: Sequence[HostKey], confirmed_by: User | None
) -> None:
    """The project's apps trust the server with these keys, which a person has compared, and with
    no others: what was confirmed of it before is replaced. All `keys` are of one server."""
    host, port = keys[0].host, keys[0].port
    with transaction.atomic():
        old = KnownHost.objects.filter(project=project, host=host, port=port)
        before = sorted(_key(row).fingerprint for row in old)
        old.delete()
        for key in keys:
            row = KnownHost.objects.create(
                project=project,
                host=host,
                port=port,
                key_type=key.kind,
                key=key.key,
                confirmed_by=confirmed_by,
            )
        record(
            "known_host.replace" if before else "known_host.confirm",
            row,
            name=f"{project} {host}:{port}",
            before={"fingerprints": ", ".join(before)} if before else {},
            after={"fingerprints": ", ".join(sorted(key.fingerprint for key in keys))},
        )


def known_host_remove(*, known: KnownHost) -> None:
    """Forget every key of that server."""
    with transaction.atomic():
        rows = KnownHost.objects.filter(project=known.project_id, host=known.host, port=known.port)
        fingerprints = sorted(_key(row).fingerprint for row in rows)
        record(
            "known_host.remove",
            known,
            name=f"{known.project} {known.host}:{known.port}",
            before={"fingerprints": ", ".join(fingerprints)},
        )
        rows.delete()


def _put(app: App, by: User | None, **values: Any) -> GitCredential:
    empty = {"username": "", "public_key": ""}
    facts = {**empty, **values, "created_by": by, "created_at": timezone.now()}
    return GitCredential.objects.update_or_create(app=app, defaults=facts)[0]


def _facts(app: App) -> dict[str, str]:
    found = GitCredential.objects.filter(app=app).defer("secret").first()
    if found is None:
        return {}
    return {"kind": found.kind, "username": found.username, "public_key": found.public_key}


def _key(row: KnownHost) -> HostKey:
    return HostKey(row.host, row.port, row.key_type, row.key)
