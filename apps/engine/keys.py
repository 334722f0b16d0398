"""The keys that secrets are encrypted with: a file outside the database, one key a line.

The first encrypts, all decrypt. Whoever runs meanwhile takes up another file at once: each use
looks whether it is still the one that was read.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from apps.engine.errors import SecretsUnreadable

HINT = (
    "Put back the file encryption.key that belongs to this database, for example from a backup, "
    "or add its lines to the one that is there. ./mist doctor says how many secrets it concerns."
)


def new_key() -> str:
    return secrets.token_urlsafe(32)


def fernet_of(key: str) -> Fernet:
    """Any text may be a key: 256 bits are derived from it. Of a key that a person thought up they
    are only as hard to guess as that is."""
    digest = hashlib.sha256(b"mist-secrets:" + key.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys of a file. Raises `SecretsUnreadable` when there is none."""
    try:
        lines = path.read_text().split("\n")
    except (OSError, ValueError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise SecretsUnreadable(f"The key file {path} {why}.", hint=HINT) from None
    keys = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise SecretsUnreadable(f"The key file {path} holds no key.", hint=HINT)
    return keys


def write_keys(path: Path, keys: Sequence[str]) -> None:
    """Put the keys into the file (mode 0600), which is the old or the new one at any time, also
    when the power goes. Raises `OSError`."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write("".join(f"{key}\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class KeyRing:
    """The keys as they are now: those of the file, or `fixed` ones where there are any."""

    def __init__(self, path: Path, fixed: Sequence[str] = ()) -> None:
        self.path = path
        self.is_fixed = bool(fixed)
        self._fixed = tuple(fixed)
        self._read: tuple[object, tuple[str, ...]] = (None, ())

    def __repr__(self) -> str:
        return f"<KeyRing {'of the environment' if self.is_fixed else self.path}>"

    def keys(self) -> tuple[str, ...]:
        """The first encrypts. Raises `SecretsUnreadable`."""
        if self._fixed:
            return self._fixed
        try:
            stat = os.stat(self.path)
            mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            mark = None
        known, keys = self._read
        if mark is None or mark != known:
            keys = read_keys(self.path)
            self._read = (mark, keys)
        return keys

    def encrypt(self, text: str) -> str:
        return _fernets(self.keys()).encrypt(text.encode()).decode("ascii")

    def decrypt(self, token: str) -> str:
        """Raises `SecretsUnreadable` for what none of the keys decrypts."""
        keys = self.keys()
        try:
            return _fernets(keys).decrypt(token.encode()).decode()
        except InvalidToken:
            where = "MIST_ENCRYPTION_KEYS" if self.is_fixed else str(self.path)
            raise SecretsUnreadable(
                f"A secret cannot be read: none of the keys in {where} is its key.", hint=HINT
            ) from None

    def rotate(self, token: str) -> str | None:
        """The token for the first key; None when it is one. Raises `SecretsUnreadable`."""
        try:
            fernet_of(self.keys()[0]).decrypt(token.encode())
            return None
        except InvalidToken:
            return self.encrypt(self.decrypt(token))


@functools.lru_cache(maxsize=8)
def _fernets(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([fernet_of(key) for key in keys])
