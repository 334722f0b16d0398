"""Git that has to end: by a person's wish, by the clock, or because Mist itself was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.engine.data import Commit
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import Cancelled, CloneFailed, OutOfDisk, TimedOut
from apps.engine.git import CommandLineGit
from apps.engine.git_process import run_git
from tests.engine.git_host import GitHost, Origin

_DAMAGED = ["HEAD", "config", "objects", "refs"]


@pytest.fixture
def origin(git_host: GitHost) -> Origin:
    origin = git_host.create("halden/api")
    origin.commit({"README": "one\n"})
    return origin


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "repos" / "1"


def fetch(
    origin: Origin, mirror: Path, *, deadline: Deadline | None = None, log: list[str] | None = None
) -> Commit:
    return CommandLineGit(Rules(localhost=True)).fetch(
        url=origin.url,
        mirror=mirror,
        ref="main",
        log=(log if log is not None else []).append,
        deadline=deadline or Deadline(30),
    )


def processes_of(mirror: Path) -> list[int]:
    """Living processes whose command line or environment names the mirror."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(mirror).encode() in known and state != "Z":
            found.append(int(entry.name))
    return found


def wait_until_gone(mirror: Path) -> None:
    """The kernel takes a moment to bury a grandchild that was killed."""
    until = time.monotonic() + 30
    while left := processes_of(mirror):
        assert time.monotonic() < until, f"still running: {left}"
        time.sleep(0.02)


@pytest.fixture
def stalled(git_host: GitHost) -> Iterator[GitHost]:
    git_host.stalled.set()
    yield git_host
    git_host.stalled.clear()


def test_cancelling_ends_git_and_its_helpers(
    origin: Origin, mirror: Path, stalled: GitHost
) -> None:
    with pytest.raises(Cancelled):
        fetch(origin, mirror, deadline=Deadline(60, cancelled=stalled.asked.is_set))
    assert stalled.asked.is_set()
    wait_until_gone(mirror)
    stalled.stalled.clear()
    assert fetch(origin, mirror).sha == origin.git("rev-parse", "HEAD")


def test_the_clock_ends_git_and_its_helpers(origin: Origin, mirror: Path, stalled: GitHost) -> None:
    with pytest.raises(TimedOut, match="Fetching took longer than 1 s"):
        fetch(origin, mirror, deadline=Deadline(1, what="Fetching"))
    assert stalled.asked.is_set()
    wait_until_gone(mirror)


def test_a_git_that_ignores_being_asked_is_killed(tmp_path: Path) -> None:
    """Also its child, which holds the pipes open."""
    stubborn = "trap '' TERM; echo ready >&2; sleep 600 & sleep 600"
    ready = threading.Event()
    with pytest.raises(Cancelled):
        run_git(
            ["-c", f"alias.stubborn=!{stubborn}; true {tmp_path}", "stubborn"],
            deadline=Deadline(60, cancelled=ready.is_set),
            log=lambda line: ready.set() if line == "ready" else None,
        )
    wait_until_gone(tmp_path)


def test_a_child_that_outlives_git_is_not_waited_for(tmp_path: Path) -> None:
    output = run_git(
        ["-c", f"alias.leave=!sleep 600 & echo left; true {tmp_path}", "leave"],
        deadline=Deadline(30),
    )
    assert output.stdout == "left\n"
    wait_until_gone(tmp_path)


def test_a_log_that_cannot_be_written_ends_git(origin: Origin, mirror: Path) -> None:
    def full(line: str) -> None:
        raise OutOfDisk("No room for the log.")

    with pytest.raises(OutOfDisk):
        CommandLineGit(Rules(localhost=True)).fetch(
            url=origin.url, mirror=mirror, ref="main", log=full, deadline=Deadline(30)
        )
    wait_until_gone(mirror)


def test_left_over_locks_and_packs_are_in_nobodys_way(origin: Origin, mirror: Path) -> None:
    fetch(origin, mirror)
    tip = origin.commit({"README": "two\n"})
    left = ["shallow.lock", "config.lock", "refs/mist/fetched.lock", "objects/pack/tmp_pack_x"]
    for name in left:
        (mirror / name).write_bytes(b"half")
    log: list[str] = []
    assert fetch(origin, mirror, log=log).sha == tip
    assert not any("damaged" in line for line in log)
    assert not any((mirror / name).exists() for name in left)


@pytest.mark.parametrize("missing", _DAMAGED)
def test_a_half_made_mirror_is_made_anew(origin: Origin, mirror: Path, missing: str) -> None:
    sha = fetch(origin, mirror).sha
    part = mirror / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    assert fetch(origin, mirror).sha == sha


@pytest.mark.parametrize("part", ["config", "shallow", "HEAD", "pack", "idx", "refs/mist/fetched"])
def test_a_damaged_mirror_is_made_anew(
    origin: Origin, mirror: Path, part: str, tmp_path: Path
) -> None:
    origin.commit({"big": "".join(f"line {number}\n" for number in range(5_000))})
    fetch(origin, mirror)
    files = [*mirror.glob(f"objects/pack/*.{part}"), *mirror.glob(part)]
    assert files
    for file in files:
        file.chmod(0o644)
        file.write_bytes(b"bare = true [[[")
    tip = origin.commit({"big": "".join(f"line {number}!\n" for number in range(5_000))})
    assert fetch(origin, mirror).sha == tip
    CommandLineGit(Rules(localhost=True)).checkout(
        mirror=mirror, sha=tip, target=tmp_path / "out", deadline=Deadline(30)
    )
    assert (tmp_path / "out" / "big").read_text().startswith("line 0!")


def test_making_a_mirror_anew_is_said_in_the_log(origin: Origin, mirror: Path) -> None:
    fetch(origin, mirror)
    (mirror / "config").write_text("bare = true [[[")
    log: list[str] = []
    fetch(origin, mirror, log=log)
    assert "The local copy of the repository is damaged; fetching it anew." in log


def test_a_failing_server_does_not_cost_the_mirror(
    origin: Origin, mirror: Path, git_host: GitHost
) -> None:
    fetch(origin, mirror)
    packs = sorted(mirror.glob("objects/pack/*.pack"))
    git_host.closed = {"halden/api"}
    with pytest.raises(CloneFailed):
        fetch(origin, mirror)
    assert sorted(mirror.glob("objects/pack/*.pack")) == packs


def test_two_fetches_of_one_mirror_take_turns(origin: Origin, mirror: Path) -> None:
    mirror.mkdir(parents=True)
    with open(mirror / "mist.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        log: list[str] = []
        with pytest.raises(TimedOut):
            fetch(origin, mirror, deadline=Deadline(0.3), log=log)
        assert log == ["Waiting for another fetch of this repository to end."]
    assert fetch(origin, mirror).message == "Change something"


def test_many_threads_on_one_mirror_all_succeed(origin: Origin, mirror: Path) -> None:
    shas: list[str] = []
    threads = [
        threading.Thread(target=lambda: shas.append(fetch(origin, mirror).sha)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shas == [origin.git("rev-parse", "HEAD")] * 6


def test_a_mist_that_is_killed_leaves_a_mirror_that_works(
    origin: Origin, mirror: Path, git_host: GitHost, tmp_path: Path
) -> None:
    """Its git goes with it: the connection led through that Mist."""
    git_host.stalled.set()
    program = (
        "import sys; from pathlib import Path; from apps.engine.git import CommandLineGit;"
        "from apps.engine.deadline import Deadline; from apps.engine.egress import Rules;"
        "CommandLineGit(Rules(localhost=True)).fetch(url=sys.argv[1], mirror=Path(sys.argv[2]), ref='main',"
        "log=print, deadline=Deadline(60))"
    )
    with open(tmp_path / "out", "wb") as out:
        mist = subprocess.Popen(
            [sys.executable, "-c", program, origin.url, str(mirror)], stdout=out, stderr=out
        )
        assert git_host.asked.wait(30)
        mist.send_signal(signal.SIGKILL)
        mist.wait()
    wait_until_gone(mirror)
    git_host.stalled.clear()
    assert fetch(origin, mirror).sha == origin.git("rev-parse", "HEAD")
