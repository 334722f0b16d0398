"""The repositories of the sample apps that come with Mist."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from apps.engine.errors import CloneFailed, InvalidSource
from apps.engine.git_errors import disk_errors_explained
from apps.engine.git_process import git_command, git_environment
from apps.engine.sources import check_name

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

_STREAM = ".fast-export"
_ORIGIN = "mist.sha256"
"""File in the repository with the checksum of the stream it was made of."""


def sample_names() -> tuple[str, ...]:
    """Names of all samples, in order."""
    return tuple(sorted(path.name.removesuffix(_STREAM) for path in SAMPLES.glob(f"*{_STREAM}")))


def ensure_sample_repository(name: str, data_dir: Path) -> Path:
    """The bare repository of a sample, made of its stream unless it is there. A new release of
    Mist with another stream replaces it.

    Two callers may race: it appears whole or not at all. Raises `InvalidSource` for a name that
    is no sample's, `CloneFailed`, `OutOfDisk`.
    """
    stream = SAMPLES / f"{check_name(name)}{_STREAM}"
    if not stream.is_file():
        raise InvalidSource(f"There is no sample '{name}'. There is: {', '.join(sample_names())}.")
    checksum = hashlib.sha256(stream.read_bytes()).hexdigest()
    repository = data_dir / "samples" / f"{name}.git"
    if not _is_made_of(repository, checksum):
        with disk_errors_explained("write the sample's repository"):
            _make(repository, stream, checksum)
    return repository


def _is_made_of(repository: Path, checksum: str) -> bool:
    try:
        return (repository / _ORIGIN).read_text() == checksum
    except OSError:
        return False


def _make(repository: Path, stream: Path, checksum: str) -> None:
    repository.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=repository.parent, prefix=".making-", ignore_cleanup_errors=True
    ) as room:
        made = Path(room) / "new.git"
        _git("init", "--bare", "--quiet", "--template=", "--initial-branch=main", str(made))
        _git(f"--git-dir={made}", "fast-import", "--quiet", stream=stream)
        (made / _ORIGIN).write_text(checksum)
        old = Path(room) / "old.git"
        while True:
            try:
                made.rename(repository)
                return
            except OSError:
                if _is_made_of(repository, checksum):
                    return  # Another caller was quicker.
                if not repository.exists():
                    raise
            shutil.rmtree(old, ignore_errors=True)
            repository.rename(old)


def _git(*arguments: str, stream: Path | None = None) -> None:
    with open(stream or os.devnull, "rb") as stdin:
        done = subprocess.run(
            git_command(*arguments),
            env=git_environment(),
            cwd="/",
            stdin=stdin,
            capture_output=True,
            check=False,
        )
    if done.returncode:
        raise CloneFailed(
            "Git could not make the sample's repository.",
            detail=done.stderr.decode("utf-8", "replace"),
        )
