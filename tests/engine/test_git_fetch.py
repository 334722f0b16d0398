"""Fetching over real smart HTTP: what arrives, how little of it, and what never reaches Git."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from apps.engine.data import Commit
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import (
    BranchNotFound,
    CloneFailed,
    InvalidSource,
)
from apps.engine.git import CommandLineGit
from apps.engine.git_process import git_environment, run_git
from tests.engine.conftest import Fetch
from tests.engine.git_host import GitHost, Origin


def in_mirror(mirror: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", f"--git-dir={mirror}", *arguments],
        env=git_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_it_brings_the_branch_and_tells_about_its_commit(origin: Origin, fetch: Fetch) -> None:
    log: list[str] = []
    assert fetch(origin.url, log=log) == Commit(
        sha=origin.git("rev-parse", "HEAD"),
        message="Begin",
        author="Alice Halden",
        committed_at=dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC),
    )
    assert any("Receiving objects: 100%" in line for line in log)
    assert not any("\n" in line or "\r" in line for line in log)


def test_it_follows_the_branch_also_when_its_history_is_rewritten(
    origin: Origin, fetch: Fetch
) -> None:
    first = fetch(origin.url)
    second = origin.commit({"README": "two\n"})
    assert fetch(origin.url).sha == second
    origin.git("reset", "--quiet", "--hard", first.sha)
    third = origin.commit({"README": "three\n"})
    assert fetch(origin.url).sha == third


def test_it_fetches_one_commit_only(origin: Origin, fetch: Fetch, mirror: Path) -> None:
    for number in range(5):
        tip = origin.commit({"README": f"{number}\n"})
    fetch(origin.url)
    assert in_mirror(mirror, "rev-list", "--count", tip) == "1"


def test_the_second_fetch_of_a_big_repository_is_small(
    origin: Origin, fetch: Fetch, git_host: GitHost
) -> None:
    origin.commit({f"big/{number}": os.urandom(100_000) for number in range(30)})
    fetch(origin.url)
    before, git_host.sent = git_host.sent, 0
    tip = origin.commit({"README": "small change\n"})
    assert fetch(origin.url).sha == tip
    assert before > 3_000_000
    assert git_host.sent < 10_000


def test_many_fetches_end_in_few_packs(origin: Origin, fetch: Fetch, mirror: Path) -> None:
    for number in range(45):
        tip = origin.commit({"README": f"{number}\n"})
        assert fetch(origin.url).sha == tip
    assert len(list(mirror.glob("objects/pack/*.pack"))) < 15
    assert in_mirror(mirror, "show", f"{tip}:README") == "44"


def test_a_branch_wins_over_a_tag_of_the_same_name(origin: Origin, fetch: Fetch) -> None:
    origin.git("tag", "stable")
    tip = origin.commit({"README": "two\n"})
    origin.git("branch", "stable")
    assert fetch(origin.url, "stable").sha == tip


@pytest.mark.parametrize("options", [(), ("--annotate", "--message", "Release")])
def test_a_tag_means_its_commit(origin: Origin, fetch: Fetch, options: tuple[str, ...]) -> None:
    sha = origin.git("rev-parse", "HEAD")
    origin.git("tag", *options, "v1.0")
    origin.commit({"README": "two\n"})
    log: list[str] = []
    assert fetch(origin.url, "v1.0", log=log).sha == sha
    assert not any("fatal" in line for line in log)


def test_a_tag_of_a_file_is_refused(origin: Origin, fetch: Fetch) -> None:
    origin.git("tag", "odd", "HEAD:README")
    with pytest.raises(CloneFailed, match="does not point at a commit"):
        fetch(origin.url, "odd")


def test_a_branch_with_slashes_and_signs(origin: Origin, fetch: Fetch) -> None:
    origin.git("branch", "fix/#12-a+b@c")
    assert fetch(origin.url, "fix/#12-a+b@c").message == "Begin"


@pytest.mark.parametrize("old_protocol", [False, True])
def test_a_commit_of_the_past_is_found(
    origin: Origin, fetch: Fetch, git_host: GitHost, old_protocol: bool, mirror: Path
) -> None:
    git_host.old_protocol = old_protocol
    shas = [origin.commit({"README": f"{number}\n"}) for number in range(60)]
    assert fetch(origin.url, shas[3].upper()).sha == shas[3]
    assert in_mirror(mirror, "show", f"{shas[3]}:README") == "3"
    assert in_mirror(mirror, "for-each-ref", "--format=%(refname)") == "refs/mist/fetched"
    assert fetch(origin.url).sha == shas[-1]


@pytest.mark.parametrize("old_protocol", [False, True])
def test_a_commit_that_is_not_there_is_named(
    origin: Origin, fetch: Fetch, git_host: GitHost, old_protocol: bool
) -> None:
    git_host.old_protocol = old_protocol
    with pytest.raises(BranchNotFound, match="no commit deadbeefdead in halden/api"):
        fetch(origin.url, "deadbeef" * 5)


def test_a_wrong_branch_names_those_that_exist_nearest_first(origin: Origin, fetch: Fetch) -> None:
    for name in ["develop", "release/1", *(f"zz-{number}" for number in range(10))]:
        origin.git("branch", name)
    with pytest.raises(BranchNotFound) as caught:
        fetch(origin.url, "develpo")
    assert caught.value.sentence.startswith(
        "There is no branch or tag 'develpo' in halden/api. Its branches are: develop, "
    )
    assert caught.value.sentence.endswith(" and 3 more.")


def test_a_part_of_a_branch_name_is_no_match(origin: Origin, fetch: Fetch) -> None:
    origin.git("branch", "feature/login")
    with pytest.raises(BranchNotFound):
        fetch(origin.url, "login")


def test_an_empty_repository_is_called_empty(git_host: GitHost, fetch: Fetch) -> None:
    with pytest.raises(CloneFailed, match="halden/new is empty") as caught:
        fetch(git_host.create("halden/new").url)
    assert not isinstance(caught.value, BranchNotFound)


def test_git_sees_nothing_of_mists_settings(
    origin: Origin, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither the secrets of Mist's environment nor Git settings that Mist was started with."""
    marker = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho ran > {marker}\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("DATABASE_URL", "postgres://mist:s3cret@db/mist")
    monkeypatch.setenv("GIT_DIR", "/nonexistent/repository")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent/objects")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(script))
    monkeypatch.setenv("GIT_ASKPASS", str(script))
    monkeypatch.setenv("GIT_SSL_CAINFO", "/etc/own-ca.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert fetch(origin.url).message == "Begin"
    seen = run_git(["-c", "alias.show-environment=!env", "show-environment"], deadline=Deadline(10))
    assert "s3cret" not in seen.stdout
    assert "/nonexistent/objects" not in seen.stdout
    assert str(script) not in seen.stdout
    assert "GIT_SSL_CAINFO=/etc/own-ca.pem" in seen.stdout.splitlines()
    assert "HTTPS_PROXY=http://127.0.0.1:9" in seen.stdout.splitlines()
    assert not marker.exists()


def test_a_hook_or_setting_in_the_mirror_does_not_run(
    origin: Origin, fetch: Fetch, mirror: Path, tmp_path: Path
) -> None:
    fetch(origin.url)
    hook = mirror / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho ran > {tmp_path}/ran\n")
    hook.chmod(0o755)
    origin.commit({"README": "two\n"})
    fetch(origin.url)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("url", "ref"),
    [
        ("file:///etc", "main"),
        ("/etc", "main"),
        ("ext::sh -c id", "main"),
        ("https://example.com/a/b", "--upload-pack=id"),
        ("https://example.com/a/b", "$(id)"),
    ],
)
def test_a_bad_source_never_reaches_git(fetch: Fetch, mirror: Path, url: str, ref: str) -> None:
    with pytest.raises(InvalidSource):
        fetch(url, ref)
    assert not mirror.exists()


def test_a_redirect_to_a_file_is_not_followed(tmp_path: Path, fetch: Fetch, origin: Origin) -> None:
    class Redirect(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"file://{origin.path}/.git")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Redirect) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with pytest.raises(CloneFailed):
            fetch(f"http://127.0.0.1:{server.server_port}/halden/api")
        server.shutdown()


def test_the_branches_come_with_main_first(origin: Origin) -> None:
    for name in ["develop", "a/b", "zeta"]:
        origin.git("branch", name)
    origin.git("tag", "v1")
    names = CommandLineGit(Rules(localhost=True)).branches(url=origin.url, deadline=Deadline(10))
    assert names == ("main", "a/b", "develop", "zeta")


def test_the_branches_of_nothing_are_a_failure(git_host: GitHost) -> None:
    with pytest.raises(CloneFailed, match="private or does not exist"):
        CommandLineGit(Rules(localhost=True)).branches(
            url=f"{git_host.url}/no/where", deadline=Deadline(10)
        )
