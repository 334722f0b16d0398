"""Submodules over real smart HTTP: fetched where the app wants them, each checked as a repository's
own address is, and never with a credential of another host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.engine.data import GitAccess
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import CloneFailed, EngineError, InvalidSource, TimedOut
from apps.engine.git import CommandLineGit
from apps.engine.git_submodules import Submodule
from tests.engine.git_host import GitHost, Origin, serve_git

ACCESS = GitAccess(username="oauth2", password="s3cret", submodules=True)


@pytest.fixture
def other_host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "other") as host:
        yield host


def link(parent: Origin, path: str, sha: str, url: str, message: str = "Link") -> str:
    """A commit with a submodule, made by hand: git itself would refuse some of them."""
    parent.git("update-index", "--add", "--cacheinfo", f"160000,{sha},{path}")
    file = parent.path / ".gitmodules"
    before = file.read_text() if file.exists() else ""
    file.write_text(f'{before}[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
    parent.git("add", ".gitmodules")
    parent.git("commit", "--quiet", "--message", message)
    return parent.git("rev-parse", "HEAD")


class Desk:
    def __init__(self, root: Path, rules: Rules) -> None:
        self.git = CommandLineGit(rules, root / "keys")
        self.mirror = root / "mirror"
        self.target = root / "checkout"
        self.log: list[str] = []

    def checkout(
        self,
        origin: Origin,
        access: GitAccess = ACCESS,
        seconds: float = 30,
        cancelled: Callable[[], bool] | None = None,
    ) -> Path:
        more: dict[str, Any] = {"access": access, "log": self.log.append, "url": origin.url}
        deadline = Deadline(seconds, cancelled=cancelled)
        found = self.git.fetch(mirror=self.mirror, ref="main", deadline=deadline, **more)
        self.git.checkout(
            mirror=self.mirror, sha=found.sha, target=self.target, deadline=deadline, **more
        )
        return self.target


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, Rules(localhost=True))


@pytest.fixture
def library(git_host: GitHost) -> Origin:
    origin = git_host.create("halden/library")
    origin.commit({"src/lib.py": "one\n"}, "Library")
    return origin


@pytest.fixture
def origin(git_host: GitHost) -> Origin:
    origin = git_host.create("halden/api")
    origin.commit({"README": "api\n"}, "Begin")
    return origin


def test_submodules_come_along_at_their_commit(desk: Desk, origin: Origin, library: Origin) -> None:
    sha = library.git("rev-parse", "HEAD")
    library.commit({"src/lib.py": "newer\n"})
    link(origin, "vendor/library", sha, library.url)
    link(origin, "vendor/again", sha, "../library")
    target = desk.checkout(origin)
    for path in ("vendor/library", "vendor/again"):
        assert (target / path / "src/lib.py").read_text() == "one\n"
        assert not (target / path / ".git").exists()
    assert len(list((desk.mirror / "modules").iterdir())) == 1


def test_without_the_setting_they_stay_empty(desk: Desk, origin: Origin, library: Origin) -> None:
    link(origin, "library", library.git("rev-parse", "HEAD"), library.url)
    target = desk.checkout(origin, GitAccess())
    assert not (target / "library" / "src").exists()


def test_submodules_of_submodules_come_too(
    desk: Desk, git_host: GitHost, origin: Origin, library: Origin
) -> None:
    middle = git_host.create("halden/middle")
    middle.commit({"m": "1"})
    inner = link(middle, "deep", library.git("rev-parse", "HEAD"), "../library.git")
    git_host.redirects["halden/library.git"] = library.url
    link(origin, "middle", inner, "../middle")
    assert (desk.checkout(origin) / "middle/deep/src/lib.py").is_file()


def test_those_no_longer_used_are_forgotten(
    desk: Desk, tmp_path: Path, origin: Origin, library: Origin
) -> None:
    link(origin, "library", library.git("rev-parse", "HEAD"), library.url)
    desk.checkout(origin)
    origin.git("rm", "--quiet", "--cached", "library")
    origin.git("rm", "--quiet", "--force", ".gitmodules")
    origin.git("commit", "--quiet", "--message", "Without")
    desk.target = tmp_path / "second"
    desk.checkout(origin)
    assert list((desk.mirror / "modules").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "/etc",
        "ext::sh -c id",
        "--upload-pack=/bin/sh",
        "https://user:s3cret@git.example.com/a/b",
        "../../../../../../etc",
        "../-oProxyCommand=id",
    ],
)
def test_an_address_that_is_none_is_refused(
    desk: Desk, origin: Origin, library: Origin, url: str
) -> None:
    link(origin, "library", library.git("rev-parse", "HEAD"), url)
    with pytest.raises(InvalidSource, match="The submodule library has an address") as caught:
        desk.checkout(origin)
    assert "s3cret" not in f"{caught.value.sentence}{caught.value.hint}"
    assert not desk.target.exists()


def test_a_submodule_leads_nowhere_that_egress_closes(
    tmp_path: Path, origin: Origin, library: Origin, other_host: GitHost
) -> None:
    port = int(other_host.url.rpartition(":")[2])
    desk = Desk(tmp_path / "closed", Rules(localhost=True, closed_ports=frozenset({port})))
    other = other_host.create("halden/library")
    link(origin, "library", other.commit({"a": "1"}), other.url)
    with pytest.raises(CloneFailed, match="The submodule library: Mist does not fetch from"):
        desk.checkout(origin)
    assert other_host.seen == []


def test_the_credential_goes_to_its_own_host_alone(
    desk: Desk, git_host: GitHost, origin: Origin, library: Origin, other_host: GitHost
) -> None:
    git_host.logins["oauth2"] = other_host.logins["oauth2"] = ACCESS.password
    git_host.closed |= {"halden/api", "halden/library"}
    elsewhere = other_host.create("halden/elsewhere")
    nested = other_host.create("halden/nested")
    inner = link(elsewhere, "nested", nested.commit({"n": "1"}), "../nested")
    link(origin, "library", library.git("rev-parse", "HEAD"), "../library")
    link(origin, "elsewhere", inner, elsewhere.url)
    target = desk.checkout(origin)
    assert (target / "library/src/lib.py").is_file() and (target / "elsewhere/nested/n").is_file()
    assert any(said for path, said in git_host.seen if "library" in path)
    assert {said for _, said in other_host.seen} == {""}
    other_host.closed |= {"halden/nested"}
    desk.target = desk.target.with_name("second")
    with pytest.raises(CloneFailed, match="The submodule nested: .* is private"):
        desk.checkout(origin)
    assert {said for _, said in other_host.seen} == {""}


def test_a_repository_within_itself_comes_to_an_end(
    desk: Desk, origin: Origin, library: Origin
) -> None:
    link(origin, "again", origin.git("rev-parse", "HEAD"), "../api")
    for _ in range(10):
        origin.git(
            *("update-index", "--cacheinfo"), f"160000,{origin.git('rev-parse', 'HEAD')},again"
        )
        origin.git("commit", "--quiet", "--message", "Deeper")
    with pytest.raises(EngineError, match="more than 8 levels deep"):
        desk.checkout(origin)
    assert not desk.target.exists()


def test_a_stalled_submodule_ends_with_the_deadline(
    desk: Desk, origin: Origin, other_host: GitHost
) -> None:
    other = other_host.create("halden/slow")
    link(origin, "slow", other.commit({"a": "1"}), other.url)
    other_host.stalled.set()
    with pytest.raises(TimedOut):
        desk.checkout(origin, seconds=3)


def test_a_link_without_an_address_stays_an_empty_folder(desk: Desk, origin: Origin) -> None:
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lost")
    origin.git("commit", "--quiet", "--message", "Lost")
    target = desk.checkout(origin)
    assert not (target / "lost").exists() or list((target / "lost").iterdir()) == []


def test_a_tokens_host_is_asked_over_https_for_what_is_written_as_ssh() -> None:
    parent = "https://git.example.com/halden/api"
    for written in (
        "git@git.example.com:halden/lib.git",
        "ssh://git@git.example.com/halden/lib.git",
    ):
        one = Submodule("lib", "1" * 40, written)
        assert one.address(parent, ACCESS) == "https://git.example.com/halden/lib.git"
        assert one.address(parent, GitAccess()) == written
        assert one.address("https://other.example.com/a/b", ACCESS) == written
    relative = Submodule("lib", "1" * 40, "../lib.git")
    assert relative.address("git@git.example.com:halden/api", ACCESS) == (
        "git@git.example.com:halden/lib.git"
    )
