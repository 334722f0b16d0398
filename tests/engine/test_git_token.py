"""A token over real smart HTTP: it opens its own repository, and no other host ever hears it."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.engine.data import Commit, GitAccess
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import CloneFailed
from apps.engine.git import CommandLineGit
from tests.engine.git_host import GitHost, Origin, serve_git

ASKPASS = Path(__file__).parents[2] / "apps" / "engine" / "askpass.sh"
TOKEN = "ghp_s3cret-of/the+app="
ACCESS = GitAccess(username="oauth2", password=TOKEN)
HEADER = "Basic " + base64.b64encode(f"oauth2:{TOKEN}".encode()).decode()
Fetch = Callable[..., Commit]


@pytest.fixture
def origin(git_host: GitHost) -> Origin:
    origin = git_host.create("halden/api")
    origin.commit({"README": os.urandom(100_000)}, "Begin")
    git_host.closed.add("halden/api")
    git_host.logins["oauth2"] = TOKEN
    return origin


@pytest.fixture
def other_host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "other") as host:
        yield host


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    def run(url: str, access: GitAccess | None = ACCESS, log: list[str] | None = None) -> Commit:
        return CommandLineGit(Rules(localhost=True), tmp_path / "keys").fetch(
            url=url,
            mirror=tmp_path / "mirror",
            ref="main",
            log=([] if log is None else log).append,
            deadline=Deadline(30),
            access=access,
        )

    return run


def test_a_token_opens_the_repository(origin: Origin, fetch: Fetch) -> None:
    assert fetch(origin.url).sha == origin.git("rev-parse", "HEAD")
    names = CommandLineGit(Rules(localhost=True)).branches(
        url=origin.url, deadline=Deadline(30), access=ACCESS
    )
    assert names == ("main",)


@pytest.mark.parametrize("access", [None, GitAccess(username="oauth2", password="wrong-one")])
def test_without_it_the_repository_is_closed(
    origin: Origin, fetch: Fetch, access: GitAccess | None
) -> None:
    with pytest.raises(CloneFailed, match="is private or does not exist") as caught:
        fetch(origin.url, access)
    error = caught.value
    assert "Source under Access" in error.hint
    assert "wrong-one" not in f"{error!r}{error.sentence}{error.hint}{error.detail}"


def test_a_token_stays_out_of_files_logs_and_command_lines(
    git_host: GitHost, origin: Origin, fetch: Fetch, tmp_path: Path
) -> None:
    log: list[str] = []
    seen: set[bytes] = set()
    git_host.stalled.set()
    thread = threading.Thread(target=fetch, args=(origin.url, ACCESS, log))
    thread.start()
    assert git_host.asked.wait(15)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen.add((process / "cmdline").read_bytes())
        except OSError:
            continue
    git_host.stalled.clear()
    thread.join(30)
    assert any(b"upload-pack" in line or origin.url.encode() in line for line in seen)
    assert HEADER in dict(git_host.seen).values()
    secrets = (TOKEN.encode(), HEADER.removeprefix("Basic ").encode())
    assert not any(secret in line for line in seen for secret in secrets)
    for file in (*(tmp_path / "mirror").rglob("*"), *(tmp_path / "keys").rglob("*")):
        assert not file.is_file() or not any(secret in file.read_bytes() for secret in secrets)
    assert not any(TOKEN in line for line in log) and TOKEN not in repr(ACCESS)


def test_a_redirect_to_another_host_never_gets_the_token(
    git_host: GitHost, other_host: GitHost, origin: Origin, fetch: Fetch
) -> None:
    """Neither one that is open nor one that asks for a login, before or after its own host did."""
    other = other_host.create("halden/api")
    other.commit({"README": "other\n"}, "Other")
    other_host.logins["oauth2"] = TOKEN
    git_host.redirects["halden/api"] = other.url
    for closed_here in (True, False):
        for closed_there in (True, False):
            git_host.closed.clear()
            other_host.closed.clear()
            if closed_here:
                git_host.closed.add("halden/api")
            if closed_there:
                other_host.closed.add("halden/api")
            try:
                fetch(origin.url)
            except CloneFailed as error:
                assert closed_here or closed_there, error.detail
    assert other_host.seen
    assert {said for _, said in other_host.seen} == {""}


def test_a_redirect_that_asks_for_a_login_is_explained(
    git_host: GitHost, other_host: GitHost, origin: Origin, fetch: Fetch
) -> None:
    other = other_host.create("halden/api")
    other_host.closed.add("halden/api")
    git_host.closed.clear()
    git_host.redirects["halden/api"] = other.url
    with pytest.raises(CloneFailed, match="redirects from .* to another host"):
        fetch(origin.url)


def test_a_redirect_within_the_host_keeps_working(
    git_host: GitHost, origin: Origin, fetch: Fetch
) -> None:
    """As of a repository that was renamed."""
    git_host.redirects["halden/old"] = origin.url
    assert fetch(f"{git_host.url}/halden/old").message == "Begin"


def test_a_token_is_not_sent_unencrypted_to_the_internet(fetch: Fetch) -> None:
    with pytest.raises(CloneFailed, match="unencrypted"):
        fetch("http://140.82.121.4/halden/api")


@pytest.mark.parametrize(
    "prompt, answer",
    [
        ("Username for 'https://git.example.com': ", "oauth2"),
        ("Password for 'https://oauth2@git.example.com': ", "s3cret"),
        ("Username for 'http://git.example.com': ", None),
        ("Username for 'https://git.example.com:8443': ", None),
        ("Username for 'https://git.example.com.evil.example': ", None),
        ("Password for 'https://oauth2@evil.example': ", None),
        ("Password for 'https://oauth2@evil.example/https://oauth2@git.example.com': ", None),
        ("Username for 'https://git.example.com': \n", None),
        ("Are you sure you want to continue connecting (yes/no)? ", None),
        ("", None),
    ],
)
def test_only_the_repositorys_own_host_gets_an_answer(prompt: str, answer: str | None) -> None:
    done = subprocess.run(
        [str(ASKPASS), prompt],
        env={
            "PATH": os.defpath,
            "MIST_GIT_PLACE": "https://git.example.com",
            "MIST_GIT_PLACE_AS_USER": "https://oauth2@git.example.com",
            "MIST_GIT_USERNAME": "oauth2",
            "MIST_GIT_PASSWORD": "s3cret",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is (answer is not None)
    assert done.stdout.strip() == (answer or "")
    assert "s3cret" not in done.stderr
