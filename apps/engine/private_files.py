"""Files that hold a secret for as long as one program needs them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from apps.engine.errors import HostProblem
from apps.engine.locks import file_lock

_PREFIX = "in-use-"
_LOCK = "lock"


@contextlib.contextmanager
def private_files(room: Path, contents: Mapping[str, str]) -> Iterator[Path]:
    """A folder of its own in `room` with these files (name → text), which nobody but Mist's user
    may read. It is gone afterwards; one that a killed Mist has left goes when the next is made.

    Raises `HostProblem` when `room` belongs to somebody else.
    """
    _prepare(room)
    with file_lock(room / _LOCK):
        _sweep(room)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=room))
        held = _hold(folder)
    try:
        for name, text in contents.items():
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(text)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def remove_abandoned(room: Path) -> None:
    """Take away what a killed Mist has left; what is in use stays."""
    if room.is_dir():
        with file_lock(room / _LOCK):
            _sweep(room)


def _prepare(room: Path) -> None:
    room.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.lstat(room)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise HostProblem(
            f"The folder {room} belongs to another user.",
            hint="Remove it: Mist makes it anew for secrets that programs need for a moment.",
        )
    if found.st_mode & 0o077:
        room.chmod(0o700)


def _hold(folder: Path) -> int:
    """The lock that says that the folder is in use. It goes with this process, however that ends:
    no child inherits it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _sweep(room: Path) -> None:
    for folder in room.glob(f"{_PREFIX}*"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
