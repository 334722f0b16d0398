"""Git as the pipeline sees it: bring a commit into a mirror, write its files to a directory."""

from __future__ import annotations

import configparser
import datetime as dt
import os
import shutil
from pathlib import Path

import git

from apps.engine.data import Commit, GitAccess, LineSink
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.egress_proxy import guarded_environment
from apps.engine.errors import CloneFailed, InvalidSource
from apps.engine.git_errors import (
    disk_errors_explained,
    explain,
    no_such_branch,
    no_such_commit,
    says_commit_not_offered,
    says_no_such_commit,
    says_no_such_ref,
    unexplained,
)
from apps.engine.git_mirror import FETCHED, Mirror, locked_mirror
from apps.engine.git_process import GitOutput, git_environment, run_git
from apps.engine.sources import check_ref, check_repository_url, is_sha

_DEPTHS = ("--depth=50", "--depth=1000", "--unshallow")
_ALL = "refs/mist/all"
_MAX_MESSAGE = 300
_REPOSITORY_VARIABLES = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"),
)


class CommandLineGit:
    """`base.Git` with the machine's git and, to read commits, GitPython.

    What talks to a server runs through `git_process`: GitPython would hand the whole environment
    of Mist to git, and could not end git's children in time.
    """

    def __init__(self, rules: Rules) -> None:
        """`rules` say which machines may be asked."""
        self._rules = rules
        # A Mist that was started by a Git hook carries that repository's variables, and GitPython
        # takes them for every repository.
        for name in _REPOSITORY_VARIABLES:
            os.environ.pop(name, None)

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
        ):
            fetch = _Fetch(repository, url, self._rules, log, deadline)
            known = repository.complete
            if not known:
                repository.make_anew(deadline=deadline)
            try:
                commit = fetch.bring(ref)
            except _Unexplained as error:
                if not known:
                    raise error.reason from error
                log("The local copy of the repository is damaged; fetching it anew.")
                repository.make_anew(deadline=deadline)
                try:
                    commit = fetch.bring(ref)
                except _Unexplained as second:
                    raise second.reason from second
            repository.compact(deadline=deadline)
            return commit

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
        with (
            disk_errors_explained("write the commit's files"),
            locked_mirror(mirror, deadline=deadline) as repository,
        ):
            target.mkdir(parents=True)
            try:
                _write_files(repository, sha, target, deadline)
            except BaseException:
                shutil.rmtree(target, ignore_errors=True)
                raise

    def branches(
        self, *, url: str, deadline: Deadline, access: GitAccess | None = None
    ) -> tuple[str, ...]:
        """See `base.Git`."""
        url = check_repository_url(url)
        names = _list_refs(url, self._rules, deadline)["refs/heads/"]
        return tuple(sorted(names, key=lambda name: (name not in {"main", "master"}, name)))


class _Unexplained(Exception):
    """Git failed and its words fit no reason we know, so it may be the mirror."""

    def __init__(self, reason: CloneFailed) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


class _Fetch:
    """One fetch into a mirror that is ours."""

    def __init__(
        self, mirror: Mirror, url: str, rules: Rules, log: LineSink, deadline: Deadline
    ) -> None:
        self.mirror = mirror
        self.url = url
        self.rules = rules
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
            refs = _list_refs(self.url, self.rules, self.deadline)
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
            environment=guarded_environment(self.rules),
        )

    def _git(self, *arguments: str) -> GitOutput:
        return self.mirror.git(*arguments, deadline=self.deadline)

    def _expect_ok(self, output: GitOutput) -> None:
        if not output.ok:
            if (reason := explain(output.lines, self.url)) is not None:
                raise reason
            raise _Unexplained(unexplained(output.lines, self.url))


def _list_refs(url: str, rules: Rules, deadline: Deadline) -> dict[str, list[str]]:
    """Names of branches under 'refs/heads/' and of tags under 'refs/tags/'."""
    output = run_git(
        ["ls-remote", "--heads", "--tags", "--refs", "--", url],
        deadline=deadline,
        environment=guarded_environment(rules),
    )
    if not output.ok:
        raise explain(output.lines, url) or unexplained(output.lines, url)
    refs: dict[str, list[str]] = {"refs/heads/": [], "refs/tags/": []}
    for line in output.stdout.splitlines():
        name = line.partition("\t")[2]
        for prefix, names in refs.items():
            if name.startswith(prefix):
                names.append(name.removeprefix(prefix))
    return refs


def _write_files(mirror: Mirror, sha: str, target: Path, deadline: Deadline) -> None:
    output = mirror.git(
        *("read-tree", "--reset", "-u", "--no-recurse-submodules", sha),
        deadline=deadline,
        work_tree=target,
    )
    if output.ok:
        return
    reason = explain(output.lines, "")
    if reason is None:
        shutil.rmtree(mirror.path)
        reason = CloneFailed(
            "The local copy of the repository is damaged.",
            hint="It has been removed: deploy again to fetch it anew.",
            detail="\n".join(output.lines),
        )
    raise reason


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
