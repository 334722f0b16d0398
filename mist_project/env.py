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
    """Signs sessions and, hashed, encrypts secrets. `MIST_SECRET_KEY` or the file secret.key."""
    return env.str("MIST_SECRET_KEY", default="") or keep_once(
        folder / "secret.key", secrets.token_urlsafe(48)
    )


def instance_id(folder: Path) -> str:
    """Eight hex digits that tell this Mist's containers from another's on the same engine."""
    return keep_once(folder / "instance", secrets.token_hex(4))
