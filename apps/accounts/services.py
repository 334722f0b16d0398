"""Changing what Mist knows about a person."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.deployments import events


def account_update(*, user: User, name: str) -> None:
    """Change how others see the person."""
    user.name = name
    user.save(update_fields=["name"])


def shortcuts_set(*, user: User, on: bool) -> None:
    """Whether a single key does something on the person's pages."""
    user.shortcuts = on
    user.save(update_fields=["shortcuts"])


def password_set(*, user: User, password: str) -> None:
    """Give the user a (checked) new password. Every session of theirs ends with that."""
    user.set_password(password)
    user.save(update_fields=["password"])
    transaction.on_commit(lambda: events.access_changed(user_id=user.pk))
