"""Reading people."""

from __future__ import annotations

from apps.accounts.models import User


def anyone_exists() -> bool:
    """Whether Mist has been set up: false until the first administrator is made."""
    return User.objects.exists()
