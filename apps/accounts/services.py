"""Changing what Mist knows about a person."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.deployments import events


def account_update(*, user: User, name: str) -> None:
    """Change how others see the person."""
    with transaction.atomic():
        before = facts(User.objects.get(pk=user.pk), "name")
        user.name = name
        user.save(update_fields=["name"])
        if before != (after := facts(user, "name")):
            record("user.update", user, name=user.email, before=before, after=after)


def shortcuts_set(*, user: User, on: bool) -> None:
    """Whether a single key does something on the person's pages."""
    user.shortcuts = on
    user.save(update_fields=["shortcuts"])


def password_set(*, user: User, password: str) -> None:
    """Give the user a (checked) new password. Every session of theirs ends with that."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        record("user.set_password", user, name=user.email)
    transaction.on_commit(lambda: events.access_changed(user_id=user.pk))
