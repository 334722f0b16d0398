"""What the read-only smart HTTP answers, apart from what Git itself asks in the other tests."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from apps.engine.git_http import MAX_REQUEST, GitResponse, advertise_refs, respond, upload_pack
from tests.engine.git_host import git
from tests.engine.test_git_interrupt import processes_of, wait_until_gone

_ASK = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
_LIST = b"0014command=ls-refs\n00010000"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "a").write_bytes(os.urandom(2_000_000))
    git(path, "add", "a")
    git(path, "commit", "--quiet", "--message", "Begin")
    return path / ".git"


def ask(
    repo: Path, body: bytes, path: str = "/git-upload-pack", **headers: str
) -> tuple[int, bytes]:
    given = _ASK | {name.replace("_", "-"): value for name, value in headers.items()}
    return read(respond(repo, "POST", path, "", given, body))


def read(answer: GitResponse) -> tuple[int, bytes]:
    return answer.status, b"".join(answer.chunks)


def test_it_lists_the_refs(repo: Path) -> None:
    status, body = ask(repo, _LIST)
    assert status == 200
    assert f"{git(repo, 'rev-parse', 'HEAD')} refs/heads/main\n".encode() in body


def test_it_unpacks_what_git_has_packed(repo: Path) -> None:
    assert ask(repo, gzip.compress(_LIST), Content_Encoding="gzip") == ask(repo, _LIST)


def test_it_takes_a_stream_as_the_body(repo: Path) -> None:
    answer = respond(repo, "POST", "/git-upload-pack", "", _ASK, io.BytesIO(_LIST))
    assert read(answer) == ask(repo, _LIST)
    assert b"".join(upload_pack(repo, _LIST, protocol="version=2")) == ask(repo, _LIST)[1]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"0" * (MAX_REQUEST + 1), {}),
        (gzip.compress(b"0" * (MAX_REQUEST + 1)), {"Content_Encoding": "gzip"}),
        (b"no gzip at all", {"Content_Encoding": "gzip"}),
    ],
)
def test_it_refuses_a_body_that_is_too_large_or_broken(
    repo: Path, body: bytes, headers: dict[str, str]
) -> None:
    assert ask(repo, body, **headers)[0] == 413


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/info/refs", "service=git-upload-pack", 200),
        ("GET", "/info/refs", "service=git-receive-pack", 403),
        ("GET", "/info/refs", "", 403),
        ("GET", "/info/refs", "service=git-upload-pack&service=--upload-pack", 403),
        ("POST", "/git-receive-pack", "", 403),
        ("GET", "/git-upload-pack", "", 404),
        ("PUT", "/info/refs", "service=git-upload-pack", 404),
        ("GET", "/HEAD", "", 404),
        ("GET", "/objects/../../config", "", 404),
        ("GET", "", "", 404),
    ],
)
def test_it_serves_reading_over_smart_http_only(
    repo: Path, method: str, path: str, query: str, status: int
) -> None:
    assert read(respond(repo, method, path, query, {}, b""))[0] == status


def test_a_request_that_is_not_gits_is_refused(repo: Path) -> None:
    assert ask(repo, _LIST, Content_Type="text/plain")[0] == 415


def test_the_old_protocol_has_its_announcement(repo: Path) -> None:
    assert advertise_refs(repo, protocol="").startswith(b"001e# service=git-upload-pack\n0000")
    assert advertise_refs(repo, protocol="version=2").startswith(b"000eversion 2\n")


def test_an_odd_protocol_is_not_passed_on(repo: Path) -> None:
    for odd in ["version=2\n", "version=2:x y", "version=9", "x" * 5_000, "version=2\x00"]:
        assert advertise_refs(repo, protocol=odd) == advertise_refs(repo, protocol="")


def children() -> set[str]:
    """Processes that this one started and has not reaped."""
    lists = Path("/proc/self/task").glob("*/children")
    return {pid for file in lists for pid in file.read_text().split()}


def test_a_client_that_goes_away_ends_git(repo: Path) -> None:
    sha = git(repo, "rev-parse", "HEAD")
    lines = [f"want {sha}\n", "done\n"]
    wants = "".join(f"{len(line) + 4:04x}{line}" for line in lines)
    body = f"0011command=fetch0001{wants}0000".encode()
    answer = respond(repo, "POST", "/git-upload-pack", "", _ASK, body)
    before = children()
    assert next(answer.chunks)
    assert children() > before
    assert processes_of(repo) != []
    answer.chunks.close()  # type: ignore[attr-defined]
    wait_until_gone(repo)
    assert children() <= before
