"""Changing what Mist knows about a person."""

from __future__ import annotations

import logging

from django.db import transaction

from apps.accounts.factors import factors_remove
from apps.accounts.models import User
from apps.accounts.sessions import sessions_end
from apps.accounts.tasks import send_reset_link
from apps.audit.trail import facts, record

logger = logging.getLogger("mist.accounts")


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


def password_set(
    *, user: User, password: str, action: str = "password.reset", keep: str | None = None
) -> None:
    """Give the user a (checked) new password. Every session of theirs ends with that, but for the
    one with the key `keep`, whose hash the view then renews."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        record(action, user, name=user.email)
        sessions_end(user=user, keep=keep)


def factors_reset(*, user: User) -> int:
    """Take away every second factor of who has lost theirs, and log them out everywhere. Returns
    how many there were."""
    with transaction.atomic():
        count = factors_remove(user=user)
        sessions_end(user=user)
    return count


def password_forgotten(*, email: str) -> bool:
    """Send a link for a new password, if there is such a person. Whether there is shows nowhere,
    nor how long it took: a worker looks. False when no worker can be told."""
    try:
        send_reset_link.delay(email)
    except Exception as error:
        logger.warning("The broker does not answer: %r", error)
        return False
    return True
