"""Repositories that Mist keeps itself, for apps that are pushed or uploaded to it.

A bare repository for each app. Its branches and tags are what people see; what they do not see is
below `refs/mist/`:

    refs/mist/pushed/<commit>   what was pushed to the app's branch or uploaded, deployed or not
    refs/mist/tip/<branch>      the newest of these

The branch itself moves once its commit is live, so whoever pushes what cannot be deployed may push
the very same again. No hook runs, and nothing of a repository's configuration is a pusher's.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.engine.data import Commit, LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import BranchNotFound, CloneFailed, EngineError, InvalidSource
from apps.engine.git_errors import disk_errors_explained
from apps.engine.git_mirror import Mirror, locked_mirror
from apps.engine.git_process import DEVNULL, GitOutput
from apps.engine.sources import is_sha

PUSHED, TIP = "refs/mist/pushed/", "refs/mist/tip/"
_MARK = "hideRefs = refs/mist"
_CONFIG = f"[uploadpack]\n\t{_MARK}\n\tallowFilter = true\n[receive]\n\t{_MARK}\n"
_FORMAT = "--format=%an%x00%cI%x00%s"
_MAX_MESSAGE = 300


@dataclass(frozen=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


def is_prepared(path: Path, branch: str) -> bool:
    """Whether the repository is there and a clone of it begins with `branch`: then it can be read
    without waiting for whoever changes it."""
    try:
        config, head = (path / "config").read_text(), (path / "HEAD").read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return _MARK in config and head.strip() == f"ref: refs/heads/{branch}"


@contextlib.contextmanager
def kept(path: Path, *, branch: str, deadline: Deadline) -> Iterator[Kept]:
    """The repository at `path`, made where it is missing, for this thread alone; `branch` is the
    one that a clone begins with. Raises `CloneFailed`, `OutOfDisk` and what the deadline raises."""
    with (
        disk_errors_explained("keep the repository"),
        locked_mirror(path, deadline=deadline) as mirror,
    ):
        found = Kept(mirror, deadline)
        found.prepare(branch)
        yield found


class Kept:
    """A repository that this thread alone changes. Made by `kept`."""

    def __init__(self, mirror: Mirror, deadline: Deadline) -> None:
        self._mirror = mirror
        self._deadline = deadline
        self.path = mirror.path

    def prepare(self, branch: str) -> None:
        """Safe for one that is there: `git init` leaves everything as it is."""
        config = self._mirror.path / "config"
        if not self._mirror.complete or _MARK not in config.read_text(errors="replace"):
            self.do("init", "--bare", "--quiet", "--template=", f"--initial-branch={branch}")
            with config.open("a") as file:
                file.write(_CONFIG)
        head = f"refs/heads/{branch}"
        if (self._mirror.path / "HEAD").read_text(errors="replace").strip() != f"ref: {head}":
            self.do("symbolic-ref", "HEAD", head)

    # ------------------------------------------------------------------------------------ reading

    def resolve(self, ref: str) -> str:
        """The commit that the (whole) name stands for; empty where there is none."""
        output = self.git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return output.stdout.strip() if output.ok else ""

    def tip(self, branch: str) -> str:
        """The newest commit of the branch, be it live or not; empty for none."""
        return self.resolve(f"{TIP}{branch}") or self.resolve(f"refs/heads/{branch}")

    def find(self, ref: str) -> Commit:
        """The commit that a branch, tag or 40 digits mean now. Raises `BranchNotFound`."""
        if is_sha(ref):
            sha = self.resolve(ref.lower())
        else:
            sha = self.tip(ref) or self.resolve(f"refs/tags/{ref}")
        if not sha:
            raise self._not_there(ref)
        output = self.do("log", "-1", "--no-show-signature", "--encoding=UTF-8", _FORMAT, sha, "--")
        author, at, message = (*output.stdout.rstrip("\n").split("\0", 2), "", "")[:3]
        when = dt.datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone(dt.UTC)
        return Commit(sha=sha, message=message[:_MAX_MESSAGE], author=author, committed_at=when)

    def contains(self, newer: str, older: str) -> bool:
        """Whether the history of `newer` has `older` in it."""
        return self.git("merge-base", "--is-ancestor", older, newer).ok

    def checkout(self, sha: str, target: Path) -> None:
        """Write the commit's files to `target`, which must not exist yet; it is gone again when
        that fails."""
        target.mkdir(parents=True)
        try:
            # The files that the last one noted are those of another folder.
            self.do("read-tree", "--empty")
            self.do(
                *("read-tree", "--reset", "-u", "--no-recurse-submodules", sha), work_tree=target
            )
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise

    # ----------------------------------------------------------------------------------- changing

    def note_tip(self, branch: str, sha: str) -> None:
        """The commit is the branch's newest: what is deployed when the branch is asked for."""
        self.do("update-ref", f"{TIP}{branch}", sha)

    def advance(self, branch: str, sha: str) -> None:
        """The commit is live: the branch that people see is there now."""
        self.do("update-ref", f"refs/heads/{branch}", sha)

    def commit_folder(
        self, folder: Path, *, branch: str, author: Author, message: str, ignore: bool
    ) -> str:
        """Make the folder's files, as they are, the branch's newest commit and return it. With
        `ignore`, what a `.gitignore` in it names is left out. Raises `InvalidSource`."""
        self.do("read-tree", "--empty")
        force = () if ignore else ("--force",)
        self.do("add", "--all", *force, "--", ".", work_tree=folder)
        listed = self.do("ls-files", "--stage", "-z").stdout
        for entry in listed.split("\0"):
            if entry.startswith("160000 "):
                raise InvalidSource(
                    f"The folder {entry.partition(chr(9))[2]} is a Git repository of its own. "
                    "Remove the .git in it, or leave the folder out."
                )
        if not listed:
            raise InvalidSource("There is no file in it that could be deployed.")
        tree = self.do("write-tree").stdout.strip()
        parent = self.tip(branch)
        parents = ("-p", parent) if parent else ()
        who = {"NAME": author.name or "Mist", "EMAIL": author.email}
        names = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in who.items()
        }
        made = self.do("commit-tree", tree, *parents, "-m", message, environment=names)
        sha = made.stdout.strip()
        self.do("update-ref", f"{PUSHED}{sha}", sha)
        self.note_tip(branch, sha)
        self.compact()
        return sha

    # --------------------------------------------------------------------------------------- parts

    def compact(self) -> None:
        """Now and then: names of what a branch holds anyway go, and packs become one."""
        if sum(1 for _ in self._mirror.path.glob("objects/pack/*.pack")) < 40:
            return
        listed = self.git("for-each-ref", "--merged=HEAD", "--format=%(refname)", PUSHED)
        for ref in listed.stdout.split() if listed.ok else ():
            self.git("update-ref", "-d", ref)
        self.git("pack-refs", "--all")
        self._mirror.compact(deadline=self._deadline)

    def _not_there(self, ref: str) -> EngineError:
        listed = self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/")
        names = listed.stdout.split()
        tips = self.git("for-each-ref", "--format=%(refname:lstrip=3)", TIP).stdout.split()
        known = sorted({*names, *tips})
        if not known:
            return BranchNotFound(
                "Nothing has been pushed to this app yet.",
                hint="Its tab Source has the commands to push, and a form to upload an archive.",
            )
        return BranchNotFound(
            f"There is no {ref} in what was pushed. There is: {', '.join(known[:10])}.",
            hint="Push it, or set the app's branch to one of these.",
        )

    def git(
        self,
        *arguments: str,
        work_tree: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: int = DEVNULL,
        log: LineSink | None = None,
    ) -> GitOutput:
        """Git in this repository; whoever asks looks at its exit status."""
        return self._mirror.git(
            *arguments,
            deadline=self._deadline,
            work_tree=work_tree,
            environment=environment,
            stdin=stdin,
            log=log,
        )

    def do(
        self,
        *arguments: str,
        work_tree: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> GitOutput:
        """Raises `CloneFailed` when git does not do it."""
        output = self.git(*arguments, work_tree=work_tree, environment=environment)
        if not output.ok:
            raise CloneFailed(
                "Git could not work with the repository that Mist keeps of this app.",
                detail="\n".join(output.lines),
            )
        return output
