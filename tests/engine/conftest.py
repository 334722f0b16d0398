from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.engine.data import Commit, GitAccess
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.git import CommandLineGit
from tests.engine.git_host import GitHost, Origin, serve_git

Fetch = Callable[..., Commit]
"""`fetch(url, ref)` into a mirror of the test's own."""


@pytest.fixture
def git_host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "host") as host:
        yield host


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "repos" / "1"


@pytest.fixture
def fetch(mirror: Path) -> Fetch:
    def run(
        url: str,
        ref: str = "main",
        *,
        into: Path = mirror,
        log: list[str] | None = None,
        access: GitAccess | None = None,
    ) -> Commit:
        lines: list[str] = [] if log is None else log
        return CommandLineGit(Rules(localhost=True)).fetch(
            url=url,
            mirror=into,
            ref=ref,
            log=lines.append,
            deadline=Deadline(30),
            access=access,
        )

    return run


@pytest.fixture
def origin(git_host: GitHost) -> Origin:
    origin = git_host.create("halden/api")
    origin.commit({"README": "one\n"}, "Begin\n\nWith a body.")
    return origin
