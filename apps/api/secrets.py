"""The secret of an API token, and what is kept of it."""

from __future__ import annotations

import hashlib
import re
import secrets

PREFIX = "mist_"
"""Says to people, and to programs that look for leaked secrets, what it is."""
SHOWN = len(PREFIX) + 6
"""Characters that stay readable: 36 of 256 bits, the rest is as far out of reach as before."""
_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def new_secret() -> str:
    """`mist_` and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """What the database keeps.

    One round of SHA-256 is right for this secret, where a password needs Argon2: nobody guesses
    256 random bits, however quick a guess is, and a request should not cost 50 ms. A token is
    looked up by this value, so how long the look-up takes says something about the digest of what
    was sent and nothing about any secret: to send a digest of one's choice is to break SHA-256.
    Source: OWASP, Cryptographic Storage; NIST SP 800-63B, 5.1.2.2 (look-up secrets of 112 bits and
    more are hashed with an approved function).
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def looks_like_secret(text: str) -> bool:
    """Whether it may be one: everything else is not even looked up."""
    return _SECRET.fullmatch(text) is not None
