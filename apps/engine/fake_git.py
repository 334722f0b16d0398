"""Git in memory, with the promises of `base.Git`; what Mist keeps itself is real."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

from apps.engine.data import Commit, GitAccess, LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import BranchNotFound, CloneFailed
from apps.engine.fake_faults import Actor, Call
from apps.engine.kept import kept
from apps.engine.known_hosts import HostKey


class FakeGit(Actor):
    actor = "git"

    def __init__(self, journal: list[Call] | None = None) -> None:
        super().__init__(journal)
        self.files: dict[str, str] = {"Dockerfile": "FROM scratch\nEXPOSE 8000\n"}
        """What a checkout writes."""
        self.commits: dict[str, Commit] = {}
        """Branch → the commit at its tip."""
        self.accesses: list[GitAccess | None] = []
        """What each fetch and each look at branches was given."""
        self.shown_keys: tuple[HostKey, ...] = ()
        """What every SSH server shows; one key when nobody says."""
        self._numbers = itertools.count(1)
        self.commit("First version")

    def commit(self, message: str, branch: str = "main") -> Commit:
        """A new commit at the branch's tip. Not a method of engines."""
        commit = Commit(
            sha=f"{next(self._numbers):040x}",
            message=message,
            author="Alice",
            committed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )
        # By its own digits too: it can still be deployed when the branch has moved on.
        self.commits[branch] = self.commits[commit.sha] = commit
        return commit

    def fetch(
        self,
        *,
        url: str,
        mirror: Path,
        ref: str,
        log: LineSink,
        deadline: Deadline,
        access: GitAccess | None = None,
    ) -> Commit:
        self.accesses.append(access)
        deadline.check()
        self.enter("fetch", ref)
        deadline.check()
        known = self.commits | {commit.sha: commit for commit in self.commits.values()}
        if ref not in known:
            branches = ", ".join(name for name in self.commits if len(name) != 40)
            raise BranchNotFound(
                f"The branch {ref} does not exist. The repository has: {branches}.",
                hint="Choose one of the repository's branches in the app's settings.",
            )
        log(f"From {url}")
        return known[ref]

    def checkout(
        self,
        *,
        mirror: Path,
        sha: str,
        target: Path,
        deadline: Deadline,
        url: str = "",
        log: LineSink | None = None,
        access: GitAccess | None = None,
    ) -> None:
        self.enter("checkout", sha)
        deadline.check()
        if not any(commit.sha == sha for commit in self.commits.values()):
            raise CloneFailed(f"The commit {sha[:7]} is not in the mirror.")
        target.mkdir(parents=True)
        for name, text in self.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def branches(
        self, *, url: str, deadline: Deadline, access: GitAccess | None = None
    ) -> tuple[str, ...]:
        self.accesses.append(access)
        self.enter("branches", url)
        deadline.check()
        return tuple(sorted(name for name in self.commits if len(name) != 40))

    def host_keys(self, *, host: str, port: int, deadline: Deadline) -> tuple[HostKey, ...]:
        self.enter("host_keys", f"{host}:{port}")
        deadline.check()
        return self.shown_keys or (HostKey(host, port, "ssh-ed25519", "AAAA" * 17),)

    def find_kept(self, *, repository: Path, branch: str, ref: str, deadline: Deadline) -> Commit:
        """Of a real repository, as the two below: git is there wherever Mist is."""
        self.enter("find_kept", ref)
        with kept(repository, branch=branch, deadline=deadline) as found:
            return found.find(ref)

    def checkout_kept(
        self, *, repository: Path, branch: str, sha: str, target: Path, deadline: Deadline
    ) -> None:
        self.enter("checkout_kept", sha)
        with kept(repository, branch=branch, deadline=deadline) as found:
            found.checkout(sha, target)

    def advance_kept(self, *, repository: Path, branch: str, sha: str, deadline: Deadline) -> None:
        self.enter("advance_kept", sha)
        with kept(repository, branch=branch, deadline=deadline) as found:
            found.advance(branch, sha)
