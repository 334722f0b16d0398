"""How passwords are stored."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

AT_ONCE = 2
"""Hashes that this process works on at the same time, 19 MiB each. Others wait their turn."""
_turns = threading.BoundedSemaphore(AT_ONCE)


class LightArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's minimum: 19 MiB, two passes, one lane.

    Source: OWASP Password Storage Cheat Sheet. Django's own default takes 100 MiB per login.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with _turns:
            return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        with _turns:
            return bool(super().verify(password, encoded))
