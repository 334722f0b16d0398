"""A text column that is encrypted at rest."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


@functools.cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet(
        [
            Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"mist-secrets:" + k.encode()).digest()))
            for k in keys
        ]
    )


def encrypt(text: str) -> str:
    """Authenticated encryption with the first of `MIST_ENCRYPTION_KEYS`."""
    keys = tuple(settings.MIST_ENCRYPTION_KEYS)
    return _fernet(keys).encrypt(text.encode()).decode("ascii")


def decrypt(token: str) -> str:
    """The text again, with any of the keys. Raises `cryptography.fernet.InvalidToken`."""
    return _fernet(tuple(settings.MIST_ENCRYPTION_KEYS)).decrypt(token.encode("ascii")).decode()


if TYPE_CHECKING:
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField


class EncryptedTextField(TextField):
    """Holds text in the clear in Python and encrypted in the database. Not searchable."""

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else encrypt(str(value))
