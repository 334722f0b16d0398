"""The sample's repository comes out of its stream: whole, once, and always the same."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import CloneFailed, InvalidSource
from apps.engine.git import CommandLineGit
from apps.engine.samples import SAMPLES, ensure_sample_repository, sample_names
from tests.engine.git_host import git, serve_git


def test_it_has_three_commits_of_mists(tmp_path: Path) -> None:
    repository = ensure_sample_repository("hello", tmp_path)
    log = git(repository, "log", "--format=%an <%ae> %ct", "main").splitlines()
    assert log == [f"Mist <mist@localhost> {time}" for time in (1788426000, 1788339600, 1788253200)]
    assert git(repository, "tag").split() == ["v1.0", "v1.1", "v1.2"]
    git(repository, "fsck", "--strict")


def test_its_newest_version_is_the_one_to_read(tmp_path: Path) -> None:
    repository = ensure_sample_repository("hello", tmp_path)
    names = git(repository, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert names == sorted(path.name for path in (SAMPLES / "hello").iterdir() if path.is_file())
    for name in names:
        stored = git(repository, "show", f"main:{name}")
        assert stored == (SAMPLES / "hello" / name).read_text().strip()


def test_it_is_made_once_and_always_the_same(tmp_path: Path) -> None:
    first = ensure_sample_repository("hello", tmp_path / "a")
    made = first.stat().st_ino
    assert ensure_sample_repository("hello", tmp_path / "a").stat().st_ino == made
    second = ensure_sample_repository("hello", tmp_path / "b")
    assert git(first, "rev-parse", "main") == git(second, "rev-parse", "main")


@pytest.mark.parametrize("checksum", [None, "of another release"])
def test_a_broken_or_old_one_is_replaced(tmp_path: Path, checksum: str | None) -> None:
    repository = ensure_sample_repository("hello", tmp_path)
    (repository / "HEAD").unlink()
    if checksum is None:
        (repository / "mist.sha256").unlink()
    else:
        (repository / "mist.sha256").write_text(checksum)
    assert git(ensure_sample_repository("hello", tmp_path), "rev-list", "--count", "main") == "3"
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["hello.git"]


def test_callers_that_race_all_get_it(tmp_path: Path) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_sample_repository("hello", tmp_path)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "samples" / "hello.git"] * 8
    assert git(found[0], "rev-list", "--count", "main") == "3"
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["hello.git"]


@pytest.mark.parametrize("name", ["../hello", "hello.git", "", "-x", "nope"])
def test_only_samples_have_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSource):
        ensure_sample_repository(name, tmp_path)
    assert sample_names() == ("hello",)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("in the way")
    with pytest.raises(CloneFailed, match="could not write the sample's repository"):
        ensure_sample_repository("hello", tmp_path)


def test_it_is_fetched_as_any_other_repository_is(tmp_path: Path) -> None:
    repository = ensure_sample_repository("hello", tmp_path)
    with serve_git(tmp_path / "host") as host:
        (host.root / "samples" / "hello").mkdir(parents=True)
        (host.root / "samples" / "hello" / ".git").symlink_to(repository)
        for ref, version in [("main", "1.2"), ("v1.0", "1.0")]:
            commit = CommandLineGit(Rules(localhost=True)).fetch(
                url=f"{host.url}/samples/hello",
                mirror=tmp_path / "mirror",
                ref=ref,
                log=list[str]().append,
                deadline=Deadline(30),
            )
            target = tmp_path / version
            CommandLineGit(Rules(localhost=True)).checkout(
                mirror=tmp_path / "mirror", sha=commit.sha, target=target, deadline=Deadline(30)
            )
            assert f'VERSION = "{version}"' in (target / "app.py").read_text()
