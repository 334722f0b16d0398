"""How passwords are stored."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class LightArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's minimum: 19 MiB, two passes, one lane.

    Source: OWASP Password Storage Cheat Sheet. Django's own default takes 100 MiB per login.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
