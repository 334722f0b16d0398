"""The data directory and what Mist itself keeps in it: its settings file, key and instance id."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import ClassVar

import environ

env = environ.Env()


def data_dir() -> Path:
    """`MIST_DATA_DIR`; by default /var/lib/mist for root and ~/.local/share/mist for others."""
    default = "/var/lib/mist" if os.geteuid() == 0 else "~/.local/share/mist"
    return Path(env.str("MIST_DATA_DIR", default=default)).expanduser().resolve()


class _File(environ.Env):  # type: ignore[misc]
    """Reads a settings file into a dictionary instead of the environment."""

    ENVIRON: ClassVar[dict[str, str]] = {}


def read_settings_file(folder: Path) -> frozenset[str]:
    """Take up `mist.env` of the data directory; the environment wins over it.

    Returns the names whose value is the file's.
    """
    path = folder / "mist.env"
    if not path.is_file():
        return frozenset()
    environ.Env.read_env(str(path), overwrite=False)
    _File.ENVIRON.clear()
    _File.read_env(str(path))
    # By value: a process that Mist starts inherits what its parent took from the file.
    return frozenset(n for n, value in _File.ENVIRON.items() if os.environ.get(n) == value)


def keep_once(path: Path, make: str) -> str:
    """The text of `path`; when it is missing, `make` is written there first (mode 0600).

    Safe when two processes start at once: the first one's text wins. When the directory cannot
    be written, the text is used for this process only, so that `doctor` can still say so.
    """
    try:
        return path.read_text().strip()
    except OSError:
        pass
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "w") as file:
            file.write(make + "\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
        return path.read_text().strip()
    except OSError:
        return make


def secret_key(folder: Path) -> str:
    """Signs sessions. `MIST_SECRET_KEY` or the file secret.key."""
    return env.str("MIST_SECRET_KEY", default="") or keep_once(
        folder / "secret.key", secrets.token_urlsafe(48)
    )


def encryption_keys(folder: Path) -> list[str]:
    """`MIST_ENCRYPTION_KEYS`; where it is not set none, and then the file encryption.key is there
    afterwards. Ask before `secret_key`: where that one was made earlier, secrets may have been
    encrypted with it, so it stays the last key until somebody drops it."""
    given: list[str] = [key for key in env.list("MIST_ENCRYPTION_KEYS", default=[]) if key]
    if not given:
        former = env.str("MIST_SECRET_KEY", default="") or _text_of(folder / "secret.key")
        keep_once(folder / "encryption.key", f"{secrets.token_urlsafe(32)}\n{former}".strip())
    return given


def _text_of(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def instance_id(folder: Path) -> str:
    """Eight hex digits that tell this Mist's containers from another's on the same engine."""
    return keep_once(folder / "instance", secrets.token_hex(4))
