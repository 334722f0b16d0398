"""One fetch into a mirror: what a branch, a tag or a commit means now."""

from __future__ import annotations

import configparser
import datetime as dt
import os
import shutil
from pathlib import Path

import git

from apps.engine.data import Commit, LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import CloneFailed
from apps.engine.git_access import Way
from apps.engine.git_errors import (
    explain,
    no_such_branch,
    no_such_commit,
    says_commit_not_offered,
    says_no_such_commit,
    says_no_such_ref,
    unexplained,
)
from apps.engine.git_mirror import FETCHED, Mirror
from apps.engine.git_process import GitOutput, git_environment, run_git
from apps.engine.sources import is_sha

_DEPTHS = ("--depth=50", "--depth=1000", "--unshallow")
_ALL = "refs/mist/all"
_MAX_MESSAGE = 300
_REPOSITORY_VARIABLES = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"),
)


def forget_repository() -> None:
    """A Mist that was started by a Git hook carries that repository's variables, and GitPython
    takes them for every repository."""
    for name in _REPOSITORY_VARIABLES:
        os.environ.pop(name, None)


def fetch_into(mirror: Mirror, way: Way, ref: str, *, log: LineSink, deadline: Deadline) -> Commit:
    """Bring what `ref` means now into the mirror, made anew where it is broken. Raises as
    `base.Git.fetch`."""
    fetch = _Fetch(mirror, way, log, deadline)
    known = mirror.complete
    if not known:
        mirror.make_anew(deadline=deadline)
    try:
        commit = fetch.bring(ref)
    except _Unexplained as error:
        if not known:
            raise error.reason from error
        log("The local copy of the repository is damaged; fetching it anew.")
        mirror.make_anew(deadline=deadline)
        try:
            commit = fetch.bring(ref)
        except _Unexplained as second:
            raise second.reason from second
    mirror.compact(deadline=deadline)
    return commit


class _Unexplained(Exception):
    """Git failed and its words fit no reason we know, so it may be the mirror."""

    def __init__(self, reason: CloneFailed) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


class _Fetch:
    """One fetch into a mirror that is ours."""

    def __init__(self, mirror: Mirror, way: Way, log: LineSink, deadline: Deadline) -> None:
        self.mirror = mirror
        self.way = way
        self.url = way.url
        self.log = log
        self.deadline = deadline

    def bring(self, ref: str) -> Commit:
        """Fetch what `ref` means now, and read that commit."""
        sha = self._bring_commit(ref) if is_sha(ref) else self._bring_branch(ref)
        try:
            return _read_commit(self.mirror.path, sha)
        except (git.GitError, git.ODBError, configparser.Error, OSError, ValueError) as error:
            raise _Unexplained(unexplained([str(error)], self.url)) from error

    def _bring_branch(self, ref: str) -> str:
        """The branch is asked for without listing the refs first: one round trip less, and a list
        can be megabytes long.
        """
        output = self._git_fetch(f"+refs/heads/{ref}:{FETCHED}", log=self._log_but_missing_ref)
        if says_no_such_ref(output.lines):
            refs = list_refs(self.way, self.deadline)
            if ref not in refs["refs/tags/"]:
                raise no_such_branch(ref, refs["refs/heads/"], self.url)
            output = self._git_fetch(f"+refs/tags/{ref}:{FETCHED}")
        self._expect_ok(output)
        return self._commit_of(FETCHED)

    def _log_but_missing_ref(self, line: str) -> None:
        """No branch of that name is no failure yet: it may be a tag."""
        if not says_no_such_ref([line]):
            self.log(line)

    def _bring_commit(self, sha: str) -> str:
        output = self._git_fetch(f"+{sha}:{FETCHED}")
        if says_no_such_commit(output.lines):
            raise no_such_commit(sha, self.url)
        if says_commit_not_offered(output.lines):
            self._search_history(sha)
        else:
            self._expect_ok(output)
        return self._commit_of(FETCHED)

    def _search_history(self, sha: str) -> None:
        """For servers that hand out branches and tags only: fetch them all, ever deeper."""
        self.log("The server does not hand out single commits; looking for it in the branches.")
        refspecs = (f"+refs/heads/*:{_ALL}/heads/*", f"+refs/tags/*:{_ALL}/tags/*")
        try:
            for depth in _DEPTHS:
                if depth == "--unshallow" and not (self.mirror.path / "shallow").exists():
                    break
                self._expect_ok(self._git_fetch(*refspecs, depth=depth))
                if self._git("cat-file", "-e", f"{sha}^{{commit}}").ok:
                    self._expect_ok(self._git("update-ref", FETCHED, sha))
                    return
            raise no_such_commit(sha, self.url)
        finally:
            shutil.rmtree(self.mirror.path / _ALL, ignore_errors=True)

    def _commit_of(self, ref: str) -> str:
        output = self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if not output.ok:
            raise CloneFailed(
                "This tag does not point at a commit.", hint="Set the app's branch to another one."
            )
        return output.stdout.strip()

    def _git_fetch(
        self, *refspecs: str, depth: str = "--depth=1", log: LineSink | None = None
    ) -> GitOutput:
        return self.mirror.git(
            *("fetch", depth, "--force", "--progress", "--no-tags", "--no-write-fetch-head"),
            *("--no-auto-gc", "--no-recurse-submodules", "--", self.url, *refspecs),
            deadline=self.deadline,
            log=log or self.log,
            environment=self.way.environment,
        )

    def _git(self, *arguments: str) -> GitOutput:
        return self.mirror.git(*arguments, deadline=self.deadline)

    def _expect_ok(self, output: GitOutput) -> None:
        if not output.ok:
            if (reason := explain(output.lines, self.url)) is not None:
                raise reason
            raise _Unexplained(unexplained(output.lines, self.url))


def list_refs(way: Way, deadline: Deadline) -> dict[str, list[str]]:
    """Names of branches under 'refs/heads/' and of tags under 'refs/tags/'."""
    output = run_git(
        ["ls-remote", "--heads", "--tags", "--refs", "--", way.url],
        deadline=deadline,
        environment=way.environment,
    )
    if not output.ok:
        raise explain(output.lines, way.url) or unexplained(output.lines, way.url)
    refs: dict[str, list[str]] = {"refs/heads/": [], "refs/tags/": []}
    for line in output.stdout.splitlines():
        name = line.partition("\t")[2]
        for prefix, names in refs.items():
            if name.startswith(prefix):
                names.append(name.removeprefix(prefix))
    return refs


def _read_commit(mirror: Path, sha: str) -> Commit:
    with git.Repo(mirror, expand_vars=False) as repository:
        repository.git.update_environment(**git_environment())
        commit = repository.commit(sha)
        message = commit.message
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        return Commit(
            sha=sha,
            message=next(iter(text.strip().splitlines()), "")[:_MAX_MESSAGE],
            author=commit.author.name or "",
            committed_at=commit.committed_datetime.astimezone(dt.UTC),
        )
