"""Private repositories over real SSH: one key per app, and no server whose key nobody confirmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.engine.data import Commit, GitAccess
from apps.engine.deadline import Deadline
from apps.engine.deploy_keys import new_deploy_key
from apps.engine.egress import Rules
from apps.engine.errors import Cancelled, CloneFailed, HostKeyRefused
from apps.engine.git import CommandLineGit
from apps.engine.known_hosts import forge_keys, known_hosts_text, parse_line
from apps.engine.private_files import private_files, remove_abandoned
from tests.engine.git_host import Origin
from tests.engine.ssh_host import SshHost, has_sshd, serve_ssh
from tests.machine.needed import needs
from tests.machine.world import wait_until

pytestmark = needs(has_sshd(), "sshd")
HERE = Rules(localhost=True)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SshHost]:
    with serve_ssh(tmp_path / "ssh") as found:
        yield found


@pytest.fixture
def origin(host: SshHost) -> Origin:
    origin = host.create("halden/api")
    origin.commit({"README": "one\n"}, "Begin")
    return origin


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return tmp_path / "keys"


Fetch = Callable[..., Commit]


@pytest.fixture
def fetch(tmp_path: Path, room: Path) -> Fetch:
    def run(url: str, access: GitAccess | None, log: list[str] | None = None) -> Commit:
        return CommandLineGit(HERE, room).fetch(
            url=url,
            mirror=tmp_path / "mirror",
            ref="main",
            log=([] if log is None else log).append,
            deadline=Deadline(30),
            access=access,
        )

    return run


def access_to(host: SshHost) -> GitAccess:
    return GitAccess(ssh_key=host.admit().private, known_hosts=(host.host_key.line,))


def in_use(room: Path) -> list[Path]:
    return list(room.glob("in-use-*"))


def test_a_deploy_key_opens_the_repository(
    host: SshHost, origin: Origin, fetch: Fetch, room: Path, tmp_path: Path
) -> None:
    access = access_to(host)
    assert fetch(origin.url, access).sha == origin.git("rev-parse", "HEAD")
    origin.git("branch", "next")
    names = CommandLineGit(HERE, room).branches(
        url=origin.url, deadline=Deadline(30), access=access
    )
    assert names == ("main", "next")
    assert in_use(room) == []
    secret = access.ssh_key.splitlines()[2].encode()
    for file in (tmp_path / "mirror").rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes()
    assert secret.decode() not in repr(access)


def test_another_key_does_not(host: SshHost, origin: Origin, fetch: Fetch) -> None:
    host.admit()
    access = GitAccess(ssh_key=new_deploy_key("other").private, known_hosts=(host.host_key.line,))
    with pytest.raises(CloneFailed, match="does not accept the app's deploy key") as caught:
        fetch(origin.url, access)
    assert "Source under Access" in caught.value.hint


def test_without_a_key_it_says_how_to_get_one(host: SshHost, origin: Origin, fetch: Fetch) -> None:
    before = host.log
    with pytest.raises(CloneFailed, match="has no deploy key") as caught:
        fetch(origin.url, None)
    assert "https://" in caught.value.hint
    assert host.log == before


def test_keys_of_this_machines_user_are_not_tried(
    host: SshHost, origin: Origin, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an agent nor ~/.ssh opens what the app's own key does not."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    key = home / ".ssh" / "id_ed25519"
    key.touch(0o600)
    key.write_text(host.admit().private)
    agent = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    found = dict(line.partition(";")[0].split("=") for line in agent.splitlines()[:2])
    try:
        for name, value in (*found.items(), ("HOME", str(home))):
            monkeypatch.setenv(name, value)
        subprocess.run(["ssh-add", "-q", str(key)], check=True)
        access = GitAccess(
            ssh_key=new_deploy_key("other").private, known_hosts=(host.host_key.line,)
        )
        with pytest.raises(CloneFailed, match="does not accept"):
            fetch(origin.url, access)
    finally:
        os.kill(int(found["SSH_AGENT_PID"]), signal.SIGTERM)


def test_an_unconfirmed_host_is_asked_nothing(host: SshHost, origin: Origin, fetch: Fetch) -> None:
    access = GitAccess(ssh_key=host.admit().private)
    with pytest.raises(HostKeyRefused, match="Nobody has confirmed") as caught:
        fetch(origin.url, access)
    assert "Source under Access" in caught.value.hint
    assert "Accepted publickey" not in host.log


def test_a_changed_host_key_is_refused(
    host: SshHost, origin: Origin, fetch: Fetch, room: Path
) -> None:
    access = access_to(host)
    fetch(origin.url, access)
    host.stop()
    host.start()
    logged = host.log.count("Accepted publickey")
    with pytest.raises(HostKeyRefused, match="shows another SSH key than the one that was"):
        fetch(origin.url, access)
    assert host.log.count("Accepted publickey") == logged
    shown = CommandLineGit(HERE, room).host_keys(
        host="127.0.0.1", port=host.port, deadline=Deadline(30)
    )
    confirmed = GitAccess(ssh_key=access.ssh_key, known_hosts=tuple(key.line for key in shown))
    assert fetch(origin.url, confirmed).message == "Begin"


def test_a_server_shows_its_keys_before_anybody_logs_in(host: SshHost, room: Path) -> None:
    shown = CommandLineGit(HERE, room).host_keys(
        host="127.0.0.1", port=host.port, deadline=Deadline(30)
    )
    assert [key.line for key in shown] == [host.host_key.line]
    printed = subprocess.run(
        ["ssh-keygen", "-lf", str(host.root / "host_key.pub")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown[0].fingerprint == printed.split()[1]
    assert in_use(room) == []


def test_keys_are_asked_for_only_where_egress_leads(host: SshHost, room: Path) -> None:
    before = host.log
    with pytest.raises(CloneFailed, match="does not fetch from"):
        CommandLineGit(Rules(), room).host_keys(
            host="127.0.0.1", port=host.port, deadline=Deadline(30)
        )
    with pytest.raises(CloneFailed, match="does not fetch from"):
        CommandLineGit(Rules(), room).branches(
            url=f"ssh://git@127.0.0.1:{host.port}/a/b",
            deadline=Deadline(30),
            access=access_to(host),
        )
    assert host.log == before


def test_a_key_that_a_killed_mist_left_goes_with_the_next(room: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from apps.engine.private_files import private_files\n"
        "with private_files(Path(sys.argv[1]), {'key': 'secret'}):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(room)], check=False)
    (left,) = in_use(room)
    assert (left / "key").stat().st_mode & 0o777 == 0o600
    assert left.stat().st_mode & 0o777 == room.stat().st_mode & 0o777 == 0o700
    with private_files(room, {"key": "other"}) as mine:
        assert in_use(room) == [mine]
        remove_abandoned(room)
        assert in_use(room) == [mine]
    subprocess.run([sys.executable, "-c", code, str(room)], check=False)
    remove_abandoned(room)
    assert in_use(room) == []


def test_a_key_is_no_longer_there_after_a_cancelled_fetch(
    host: SshHost, origin: Origin, room: Path, tmp_path: Path
) -> None:
    seen: list[int] = []

    def cancelled() -> bool:
        seen.append(len(in_use(room)))
        return bool(in_use(room))

    with pytest.raises(Cancelled):
        CommandLineGit(HERE, room).fetch(
            url=origin.url,
            mirror=tmp_path / "mirror",
            ref="main",
            log=lambda _: None,
            deadline=Deadline(30, cancelled=cancelled),
            access=access_to(host),
        )
    assert 1 in seen
    wait_until(lambda: in_use(room) == [], "the key is gone")


def test_keys_of_the_large_hosts_come_with_mist() -> None:
    published = {
        "github.com": "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
        "gitlab.com": "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
        "codeberg.org": "SHA256:mIlxA9k46MmM6qdJOdMnAQpzGxF4WIVVL+fj+wZbw0g",
        "bitbucket.org": "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
        "ssh.dev.azure.com": "SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og",
    }
    first = {key.host: key.fingerprint for key in reversed(forge_keys())}
    assert first == published


def test_a_key_that_was_confirmed_stands_in_for_the_shipped_ones() -> None:
    own = "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVIC02vnjFyL+I4RHfvIGNtOgJMe769VTF1VR4EB3ZB"
    lines = known_hosts_text([own]).splitlines()
    assert [line for line in lines if line.startswith("github.com ")] == [own]
    assert parse_line("a.b") is None and parse_line("[a.b]:x ssh-ed25519 AAAA") is None
