"""Making, using and revoking API tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apps.accounts.models import User
from apps.api.models import ApiToken, Scope
from apps.api.secrets import SHOWN, digest_of, new_secret
from apps.audit.trail import record
from apps.projects.models import Project

USE_NOTED = dt.timedelta(minutes=1)
"""A busy token writes no oftener when it was last used."""


@dataclass(frozen=True)
class NewToken:
    token: ApiToken
    secret: str = field(repr=False)
    """For the one answer to who made it; afterwards nobody has it."""


@sensitive_variables("secret")
def token_create(
    *,
    user: User,
    name: str,
    scopes: Collection[str],
    project: Project | None = None,
    expires_at: dt.datetime | None = None,
) -> NewToken:
    """A token with the (checked) scopes, and reading always among them."""
    secret = new_secret()
    wanted = [str(scope) for scope in Scope if scope in {*scopes, Scope.READ}]
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=secret[:SHOWN],
            digest=digest_of(secret),
            scopes=wanted,
            project=project,
            expires_at=expires_at,
        )
        record(
            "token.create",
            token,
            project=project,
            after={
                "of": user.email,
                "scopes": wanted,
                "project": None if project is None else project.slug,
                "expires_at": None if expires_at is None else expires_at.isoformat(),
            },
        )
    return NewToken(token, secret)


def token_revoke(*, token: ApiToken, by: User | None) -> bool:
    """It works no more, from its next request on. False when it was revoked already."""
    with transaction.atomic():
        now = timezone.now()
        live = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
        if not live.update(revoked_at=now, revoked_by=by):
            return False
        token.revoked_at, token.revoked_by = now, by
        record(
            "token.revoke",
            token,
            project=token.project,
            before={"state": "live"},
            after={"state": "revoked", "of": token.user.email},
        )
    return True


def token_note_use(*, token: ApiToken, address: str | None) -> None:
    """Remember when and from where it was used; at most once a minute."""
    now = timezone.now()
    if token.last_used_at is not None and token.last_used_at > now - USE_NOTED:
        return
    # Of two requests at once one writes.
    due = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED)
    ApiToken.objects.filter(due, pk=token.pk).update(last_used_at=now, last_used_address=address)
