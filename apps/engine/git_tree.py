"""Write a commit's files: its own, and where the app wants it those of Git LFS and of submodules.

Git's own commands for these are not used. `git submodule` and `git lfs` run what a repository's
configuration says, and git-lfs connects to this machine's loopback addresses past every proxy;
here each address goes through the same checks, and each connection through `egress`, as the
repository's own.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from apps.engine.data import GitAccess, LineSink
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import CloneFailed, EngineError
from apps.engine.git_access import access_elsewhere, opened
from apps.engine.git_errors import explain
from apps.engine.git_fetch import fetch_into
from apps.engine.git_lfs import bring_large_files, forget_unused
from apps.engine.git_mirror import Mirror, locked_mirror
from apps.engine.git_submodules import Submodule, find_submodules
from apps.engine.sources import resolve_inside

MAX_DEPTH = 8
MAX_SUBMODULES = 100
_MODULES = "modules"
"""Folder of a mirror with those of its submodules."""


@dataclass
class Tree:
    """One checkout with all that belongs to it."""

    url: str
    """Of the repository itself, which the credential is for; empty for one that has no address."""
    mirror: Path
    rules: Rules
    room: Path
    access: GitAccess
    log: LineSink
    deadline: Deadline
    modules: set[str] = field(default_factory=set)
    """Names of the mirrors that this checkout needs."""
    written: int = 0
    """Submodules so far."""

    def write(self, sha: str, target: Path) -> None:
        """`target` is there and empty. Raises as `base.Git.checkout`."""
        with locked_mirror(self.mirror, deadline=self.deadline) as repository:
            found = self._write_one(repository, self.url, self.access, sha, target)
        for submodule in found:
            self._write_submodule(submodule, self.url, target, depth=1)
        self._forget_others()

    def _write_one(
        self, repository: Mirror, url: str, access: GitAccess, sha: str, target: Path
    ) -> list[Submodule]:
        write_files(repository, sha, target, self.deadline)
        if access.lfs and url:
            with opened(url, access, self.rules, self.room) as way:
                bring_large_files(repository, way, sha, target, self.log, self.deadline)
        else:
            forget_unused(repository, set())
        return find_submodules(repository, sha, self.deadline) if access.submodules else []

    def _write_submodule(self, submodule: Submodule, parent: str, target: Path, depth: int) -> None:
        """Fetch one and write it where it belongs, then those within it. No lock is held on the
        way down: a repository may be its own submodule."""
        self.written += 1
        if depth > MAX_DEPTH or self.written > MAX_SUBMODULES:
            raise CloneFailed(
                f"The repository has submodules more than {MAX_DEPTH} levels deep, or more than "
                f"{MAX_SUBMODULES} of them.",
                hint="Switch submodules off for this app, or use fewer.",
            )
        folder = resolve_inside(target, submodule.path)
        url = submodule.address(parent, self._access_to(parent))
        access = self._access_to(url)
        self.log(f"Fetching the submodule {submodule.path} from {url}")
        found = self._bring_submodule(submodule, url, access, folder)
        for inner in found:
            self._write_submodule(inner, url, folder, depth + 1)

    def _access_to(self, url: str) -> GitAccess:
        return access_elsewhere(self.access, self.url, url) if url else self.access

    def _bring_submodule(
        self, submodule: Submodule, url: str, access: GitAccess, folder: Path
    ) -> list[Submodule]:
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        self.modules.add(name)
        where = self.mirror / _MODULES / name
        try:
            with locked_mirror(where, deadline=self.deadline, log=self.log) as repository:
                with opened(url, access, self.rules, self.room) as way:
                    sha = submodule.sha
                    fetch_into(repository, way, sha, log=self.log, deadline=self.deadline)
                folder.mkdir(exist_ok=True)
                return self._write_one(repository, url, access, submodule.sha, folder)
        except CloneFailed as error:
            raise type(error)(
                f"The submodule {submodule.path}: {error.sentence}",
                hint=error.hint,
                detail=error.detail,
            ) from error

    def _forget_others(self) -> None:
        """Take away the mirrors of submodules that this commit does not have."""
        known = self.mirror / _MODULES
        for folder in known.iterdir() if known.is_dir() else ():
            if folder.name not in self.modules:
                shutil.rmtree(folder, ignore_errors=True)


def write_files(mirror: Mirror, sha: str, target: Path, deadline: Deadline) -> None:
    """The commit's own files. A mirror that turns out to be damaged is removed."""
    output = mirror.git(
        *("read-tree", "--reset", "-u", "--no-recurse-submodules", sha),
        deadline=deadline,
        work_tree=target,
    )
    if output.ok:
        return
    reason: EngineError | None = explain(output.lines, "")
    if reason is None:
        shutil.rmtree(mirror.path)
        reason = CloneFailed(
            "The local copy of the repository is damaged.",
            hint="It has been removed: deploy again to fetch it anew.",
            detail="\n".join(output.lines),
        )
    raise reason
