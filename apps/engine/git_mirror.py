"""The bare repository that Mist keeps for each app, so that the next fetch is small."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.engine.data import LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import CloneFailed
from apps.engine.git_process import DEVNULL, GitOutput, run_git

FETCHED = "refs/mist/fetched"
"""The one ref that a mirror keeps between fetches: what the next one has in common."""

_LOCK = "mist.lock"
_INDEX = "mist.index"
_PACKS = 40


@dataclass(frozen=True)
class Mirror:
    """A mirror that this thread alone works on. Made by `locked_mirror`."""

    path: Path
    lock: int
    """Open descriptor of the lock file; git inherits it."""

    def git(
        self,
        *arguments: str,
        deadline: Deadline,
        log: LineSink | None = None,
        work_tree: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: int = DEVNULL,
    ) -> GitOutput:
        where = [f"--git-dir={self.path}"]
        if work_tree is not None:
            where.append(f"--work-tree={work_tree}")
        return run_git(
            [*where, *arguments],
            deadline=deadline,
            log=log,
            environment={**(environment or {}), "GIT_INDEX_FILE": str(self.path / _INDEX)},
            inherited=(self.lock,),
            stdin=stdin,
        )

    @property
    def complete(self) -> bool:
        """Whether `git init` once came to its end here."""
        config = self.path / "config"
        return (
            (self.path / "HEAD").is_file()
            and (self.path / "objects").is_dir()
            and (self.path / "refs").is_dir()
            and config.is_file()
            and "bare = true" in config.read_text(errors="replace")
        )

    def tidy(self) -> None:
        """Remove what a killed git left behind. Nobody else works here: we hold the lock."""
        stale = [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]
        stale += self.path.glob("objects/**/tmp_*")
        stale += [self.path / _INDEX]
        for file in stale:
            # What a push brought that never came to its end is a folder.
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            elif file.name != _LOCK:
                file.unlink(missing_ok=True)

    def make_anew(self, *, deadline: Deadline) -> None:
        for entry in self.path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        made = self.git("init", "--bare", "--quiet", "--template=", deadline=deadline)
        if not made.ok:
            raise CloneFailed(
                "Git could not make a repository in Mist's data directory.",
                detail="\n".join(made.lines),
            )

    def compact(self, *, deadline: Deadline) -> None:
        """Pack everything into one file once there are many, and drop what old fetches brought."""
        if sum(1 for _ in self.path.glob("objects/pack/*.pack")) >= _PACKS:
            self.git("repack", "-a", "-d", "--quiet", deadline=deadline)


@contextlib.contextmanager
def locked_mirror(
    path: Path, *, deadline: Deadline, log: LineSink | None = None
) -> Iterator[Mirror]:
    """The mirror at `path` (made if missing, perhaps empty), for this thread alone.

    The lock lives as long as a git that was started under it, also when Mist itself is killed:
    whoever has the lock may take every other lock file in the mirror for a left-over.
    """
    lock = _acquire(path, deadline, log)
    try:
        mirror = Mirror(path, lock)
        mirror.tidy()
        try:
            yield mirror
        except BaseException:
            mirror.tidy()
            raise
    finally:
        # Closing, not unlocking: that would take the lock from a git that still runs, too.
        os.close(lock)


def _acquire(path: Path, deadline: Deadline, log: LineSink | None) -> int:
    waiting = False
    while True:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_there(path, lock):
                return lock
            os.close(lock)
            continue
        except BlockingIOError:
            os.close(lock)
        except BaseException:
            os.close(lock)
            raise
        if not waiting and log is not None:
            log("Waiting for another fetch of this repository to end.")
        waiting = True
        deadline.sleep(0.1)


def _still_there(path: Path, lock: int) -> bool:
    """Whether the file we locked is still the one in the folder: an app's deletion removes it."""
    try:
        return os.path.samestat(os.stat(path / _LOCK), os.fstat(lock))
    except FileNotFoundError:
        return False
