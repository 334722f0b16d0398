"""A text column that is encrypted at rest."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

from apps.engine.keys import KeyRing


@functools.lru_cache(maxsize=8)
def _ring(path: Path, fixed: tuple[str, ...]) -> KeyRing:
    return KeyRing(path, fixed)


def key_ring() -> KeyRing:
    """The keys of this Mist: `MIST_ENCRYPTION_KEYS` where it is set, else those of the key file."""
    return _ring(Path(settings.MIST_KEY_FILE), tuple(settings.MIST_ENCRYPTION_KEYS))


def encrypt(text: str) -> str:
    """Authenticated encryption with the first key."""
    return key_ring().encrypt(text)


def decrypt(token: str) -> str:
    """The text again, with any of the keys. Raises `SecretsUnreadable`."""
    return key_ring().decrypt(token)


if TYPE_CHECKING:
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField


class EncryptedTextField(TextField):
    """Holds text in the clear in Python and encrypted in the database. Not searchable. Reading a
    row raises `SecretsUnreadable` when no key fits; who needs only the rest of it defers it."""

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else encrypt(str(value))
