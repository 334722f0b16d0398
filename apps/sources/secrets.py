"""Secrets of webhooks and deploy hooks."""

from __future__ import annotations

import re
import secrets

PREFIX = "mist_hook_"
"""Says to people, and to programs that look for leaked secrets, what it is."""
SHOWN = len(PREFIX) + 6
"""Characters that stay readable, as of API tokens."""
_HOOK = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def new_public_id() -> str:
    """For a webhook's address: no secret, and nobody guesses it all the same."""
    return secrets.token_urlsafe(18)


def new_webhook_secret() -> str:
    """256 random bits, which the host signs with."""
    return secrets.token_urlsafe(32)


def new_hook_secret() -> str:
    """For the address of a deploy hook; kept as `apps.api.secrets.digest_of` it."""
    return PREFIX + secrets.token_urlsafe(32)


def looks_like_hook_secret(text: str) -> bool:
    """Whether it may be one: everything else is not even looked up."""
    return _HOOK.fullmatch(text) is not None
