"""Git as the pipeline sees it: bring a commit into a mirror, write its files to a directory."""

from __future__ import annotations

import shutil
from pathlib import Path

from apps.engine.data import Commit, GitAccess, LineSink
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import InvalidSource
from apps.engine.git_access import default_room, opened
from apps.engine.git_errors import disk_errors_explained
from apps.engine.git_fetch import fetch_into, forget_repository, list_refs
from apps.engine.git_mirror import locked_mirror
from apps.engine.git_tree import Tree
from apps.engine.host_keys import host_keys
from apps.engine.kept import kept
from apps.engine.known_hosts import HostKey
from apps.engine.sources import check_ref, check_repository_url, is_sha


class CommandLineGit:
    """`base.Git` with the machine's git and, to read commits, GitPython.

    What talks to a server runs through `git_process`: GitPython would hand the whole environment
    of Mist to git, and could not end git's children in time.
    """

    def __init__(self, rules: Rules, room: Path | None = None) -> None:
        """`rules` say which machines may be asked; in `room` keys lie while git needs them."""
        self._rules = rules
        self._room = room or default_room()
        forget_repository()

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
        """See `base.Git`. A branch wins over a tag of the same name."""
        url, ref = check_repository_url(url), check_ref(ref)
        with (
            disk_errors_explained("write its copy of the repository"),
            locked_mirror(mirror, deadline=deadline, log=log) as repository,
            opened(url, access, self._rules, self._room) as way,
        ):
            return fetch_into(repository, way, ref, log=log, deadline=deadline)

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
        """See `base.Git`. `target` is gone again when it fails; a mirror that turns out to be
        damaged is removed, so that the next fetch makes a new one."""
        if not is_sha(sha):
            raise InvalidSource("A commit is named by its 40 digits.")
        url = check_repository_url(url) if url else ""
        access, log = access or GitAccess(), log or _unsaid
        tree = Tree(url, mirror, self._rules, self._room, access, log, deadline)
        with disk_errors_explained("write the commit's files"):
            target.mkdir(parents=True)
            try:
                tree.write(sha, target)
            except BaseException:
                shutil.rmtree(target, ignore_errors=True)
                raise

    def find_kept(self, *, repository: Path, branch: str, ref: str, deadline: Deadline) -> Commit:
        """See `base.Git`."""
        with kept(repository, branch=branch, deadline=deadline) as found:
            return found.find(ref)

    def checkout_kept(
        self, *, repository: Path, branch: str, sha: str, target: Path, deadline: Deadline
    ) -> None:
        """See `base.Git`."""
        with kept(repository, branch=branch, deadline=deadline) as found:
            found.checkout(sha, target)

    def advance_kept(self, *, repository: Path, branch: str, sha: str, deadline: Deadline) -> None:
        """See `base.Git`."""
        with kept(repository, branch=branch, deadline=deadline) as found:
            found.advance(branch, sha)

    def branches(
        self, *, url: str, deadline: Deadline, access: GitAccess | None = None
    ) -> tuple[str, ...]:
        """See `base.Git`."""
        url = check_repository_url(url)
        with opened(url, access, self._rules, self._room) as way:
            names = list_refs(way, deadline)["refs/heads/"]
        return tuple(sorted(names, key=lambda name: (name not in {"main", "master"}, name)))

    def host_keys(self, *, host: str, port: int, deadline: Deadline) -> tuple[HostKey, ...]:
        """See `base.Git`."""
        return host_keys(host, port, self._rules, self._room, deadline)


def _unsaid(line: str) -> None:
    """For who does not want to hear it."""
