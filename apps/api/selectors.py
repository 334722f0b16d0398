"""Reading API tokens."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apps.accounts.models import User
from apps.api.models import ApiToken
from apps.api.secrets import digest_of, looks_like_secret
from apps.projects.models import App
from apps.projects.selectors import apps_visible_to


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """One's own, the newest first."""
    return ApiToken.objects.filter(user=user).select_related("project").order_by("-id")


def tokens_visible_to(user: User) -> QuerySet[ApiToken]:
    """Everybody's for admins of the instance, to see and to revoke; none for others."""
    if not user.is_admin:
        return ApiToken.objects.none()
    return ApiToken.objects.select_related("user", "project", "revoked_by").order_by("-id")


def works_at(moment: dt.datetime) -> Q:
    """Neither revoked nor expired."""
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=moment))


def revocable_by(user: User) -> Q:
    """Which tokens of others the person may revoke: an admin has no power over owners."""
    if user.is_owner:
        return Q()
    return ~Q(user__role="owner") if user.is_admin else Q(pk=None)


@sensitive_variables("secret")
def token_by_secret(secret: str) -> ApiToken | None:
    """The token, with its user, if it works here and now: neither revoked nor expired, and of
    somebody who may still log in. One query, none for what is no secret of ours."""
    if not looks_like_secret(secret):
        return None
    live = ApiToken.objects.select_related("user", "project").filter(
        works_at(timezone.now()), user__is_active=True
    )
    return live.filter(digest=digest_of(secret)).first()


def apps_reachable_with(token: ApiToken) -> QuerySet[App]:
    """The person's apps of now, as far as the token sees them."""
    apps = apps_visible_to(token.user)
    return apps if token.project_id is None else apps.filter(project_id=token.project_id)
