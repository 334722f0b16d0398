"""Writing a commit's files: all of them as they are, and nothing of a stranger's runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.engine.data import Commit
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import CloneFailed, InvalidSource, TimedOut
from apps.engine.git import CommandLineGit
from tests.engine.git_host import GitHost, Origin, git


@pytest.fixture
def origin(git_host: GitHost) -> Origin:
    return git_host.create("halden/api")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "repos" / "1"


def fetch(origin: Origin, mirror: Path) -> Commit:
    return CommandLineGit(Rules(localhost=True)).fetch(
        url=origin.url, mirror=mirror, ref="main", log=list[str]().append, deadline=Deadline(30)
    )


def checkout(mirror: Path, sha: str, target: Path, seconds: float = 30) -> Path:
    CommandLineGit(Rules(localhost=True)).checkout(
        mirror=mirror, sha=sha, target=target, deadline=Deadline(seconds)
    )
    return target


def test_it_writes_files_modes_and_symlinks_as_they_are(
    origin: Origin, mirror: Path, tmp_path: Path
) -> None:
    data = bytes(range(256))
    (origin.path / "run").write_text("#!/bin/sh\n")
    (origin.path / "run").chmod(0o755)
    (origin.path / "link").symlink_to("deep/er/data")
    (origin.path / "away").symlink_to("/etc/passwd")
    origin.commit({"deep/er/data": data, "with space é\n": "x", "-rf": "y", "crlf": "a\r\nb\n"})
    target = checkout(mirror, fetch(origin, mirror).sha, tmp_path / "builds" / "7")
    assert (target / "deep/er/data").read_bytes() == data
    assert (target / "run").stat().st_mode & 0o111
    assert not (target / "crlf").stat().st_mode & 0o111
    assert (target / "link").readlink() == Path("deep/er/data")
    assert (target / "away").is_symlink()
    assert (target / "crlf").read_bytes() == b"a\r\nb\n"
    assert (target / "with space é\n").read_text() == "x"
    assert sorted(entry.name for entry in target.iterdir()) == sorted(
        ["deep", "run", "link", "away", "with space é\n", "-rf", "crlf"]
    )


def test_an_empty_commit_gives_an_empty_directory(
    origin: Origin, mirror: Path, tmp_path: Path
) -> None:
    origin.commit({})
    assert list(checkout(mirror, fetch(origin, mirror).sha, tmp_path / "out").iterdir()) == []


def test_filters_and_large_file_storage_do_not_run(
    origin: Origin, mirror: Path, tmp_path: Path
) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    origin.commit({".gitattributes": "*.bin filter=lfs -text\n*.x filter=own\n"})
    origin.commit({"a.bin": pointer, "b.x": "plain\n"})
    sha = fetch(origin, mirror).sha
    git(mirror, "config", "filter.lfs.smudge", f"touch {tmp_path}/ran")
    git(mirror, "config", "filter.lfs.process", f"touch {tmp_path}/ran")
    git(mirror, "config", "filter.lfs.required", "true")
    target = checkout(mirror, sha, tmp_path / "out")
    assert (target / "a.bin").read_text() == pointer
    assert (target / "b.x").read_text() == "plain\n"
    assert not (tmp_path / "ran").exists()


def test_hooks_do_not_run(origin: Origin, mirror: Path, tmp_path: Path) -> None:
    origin.commit({"a": "1"})
    sha = fetch(origin, mirror).sha
    (mirror / "hooks").mkdir(exist_ok=True)
    for name in ["post-checkout", "post-index-change"]:
        hook = mirror / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    checkout(mirror, sha, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_submodules_stay_empty(
    origin: Origin, git_host: GitHost, mirror: Path, tmp_path: Path
) -> None:
    other = git_host.create("halden/other")
    sub = other.commit({"evil": "x"})
    (origin.path / ".gitmodules").write_text(
        f'[submodule "sub"]\n\tpath = sub\n\turl = {other.url}\n'
    )
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{sub},sub")
    origin.git("add", ".gitmodules")
    origin.git("commit", "--quiet", "--message", "Add a submodule")
    target = checkout(mirror, fetch(origin, mirror).sha, tmp_path / "out")
    assert not (target / "sub" / "evil").exists()


def test_every_commit_that_was_fetched_can_be_written(
    origin: Origin, mirror: Path, tmp_path: Path
) -> None:
    origin.commit({"a": "1", "gone": "x"})
    first = fetch(origin, mirror).sha
    (origin.path / "gone").unlink()
    origin.commit({"a": "2"})
    second = fetch(origin, mirror).sha
    assert (checkout(mirror, second, tmp_path / "2") / "a").read_text() == "2"
    assert not (tmp_path / "2" / "gone").exists()
    assert (checkout(mirror, first, tmp_path / "1") / "a").read_text() == "1"


def test_a_target_that_exists_is_left_alone(origin: Origin, mirror: Path, tmp_path: Path) -> None:
    origin.commit({"a": "1"})
    sha = fetch(origin, mirror).sha
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    with pytest.raises(CloneFailed, match="File exists"):
        checkout(mirror, sha, tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "keep"


@pytest.mark.parametrize("sha", ["main", "HEAD", "", "--output=x", "a" * 39, "a" * 40 + "\n"])
def test_only_a_whole_sha_is_written(mirror: Path, tmp_path: Path, sha: str) -> None:
    with pytest.raises(InvalidSource):
        checkout(mirror, sha, tmp_path / "out")


def test_nothing_is_left_when_it_runs_out_of_time(
    origin: Origin, mirror: Path, tmp_path: Path
) -> None:
    origin.commit({"a": "1"})
    sha = fetch(origin, mirror).sha
    with pytest.raises(TimedOut):
        checkout(mirror, sha, tmp_path / "out", seconds=0)
    assert not (tmp_path / "out").exists()


def test_a_damaged_mirror_is_removed_and_the_next_fetch_mends_it(
    origin: Origin, mirror: Path, tmp_path: Path
) -> None:
    origin.commit({"a": "1"})
    sha = fetch(origin, mirror).sha
    for pack in mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])
    with pytest.raises(CloneFailed, match="damaged") as caught:
        checkout(mirror, sha, tmp_path / "out")
    assert "deploy again" in caught.value.hint
    assert not (tmp_path / "out").exists()
    assert fetch(origin, mirror).sha == sha
    assert (checkout(mirror, sha, tmp_path / "out") / "a").read_text() == "1"
