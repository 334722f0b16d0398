"""Files of Git LFS come in place of their pointers, whole and checked, from where egress leads."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.engine.data import GitAccess
from apps.engine.egress import Rules
from apps.engine.errors import Cancelled, CloneFailed, InvalidSource
from tests.engine.git_host import GitHost, Origin
from tests.engine.lfs_host import LfsHost, serve_lfs
from tests.engine.ssh_host import has_sshd, serve_ssh
from tests.engine.test_git_submodules import Desk
from tests.machine.needed import needs

ACCESS = GitAccess(username="oauth2", password="s3cret", lfs=True)
ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
BASIC = "Basic " + base64.b64encode(b"oauth2:s3cret").decode()


@pytest.fixture
def lfs() -> Iterator[LfsHost]:
    with serve_lfs() as host:
        yield host


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, Rules(localhost=True))


@pytest.fixture
def origin(git_host: GitHost, lfs: LfsHost) -> Origin:
    origin = git_host.create("halden/api")
    origin.commit({".lfsconfig": f"[lfs]\n\turl = {lfs.url}/halden/api/info/lfs\n"})
    return origin


def test_files_come_in_place_of_their_pointers(desk: Desk, origin: Origin, lfs: LfsHost) -> None:
    big, small = os.urandom(3_000_000), b"small"
    pointer = lfs.put(big)
    origin.commit(
        {
            ".gitattributes": ATTRIBUTES,
            "models/big.bin": pointer,
            "models/again.bin": pointer,
            "a b.bin": lfs.put(small),
            "no-pointer.bin": "as it is\n",
            "not-of-lfs.txt": pointer,
        }
    )
    (origin.path / "a b.bin").chmod(0o755)
    origin.commit({})
    target = desk.checkout(origin, ACCESS)
    assert (target / "models/big.bin").read_bytes() == big
    assert (target / "models/again.bin").read_bytes() == big
    assert (target / "a b.bin").read_bytes() == small
    assert (target / "a b.bin").stat().st_mode & 0o111
    assert (target / "no-pointer.bin").read_text() == "as it is\n"
    assert (target / "not-of-lfs.txt").read_text() == pointer
    assert lfs.downloads() == 2


def test_the_next_checkout_fetches_only_what_is_new(
    desk: Desk, origin: Origin, lfs: LfsHost
) -> None:
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": lfs.put(b"1"), "b.bin": lfs.put(b"2")})
    desk.checkout(origin, ACCESS)
    origin.commit({"b.bin": lfs.put(b"3")})
    desk.target = desk.target.with_name("second")
    target = desk.checkout(origin, ACCESS)
    assert [(target / name).read_text() for name in ("a.bin", "b.bin")] == ["1", "3"]
    assert lfs.downloads() == 3
    assert len(list((desk.mirror / "lfs").iterdir())) == 2


def test_without_the_setting_pointers_stay(desk: Desk, origin: Origin, lfs: LfsHost) -> None:
    pointer = lfs.put(b"1")
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": pointer})
    assert (desk.checkout(origin, GitAccess()) / "a.bin").read_text() == pointer
    assert lfs.seen == []


@pytest.mark.parametrize("spoiled", [True, False])
def test_what_is_missing_or_spoiled_fails_the_checkout(
    desk: Desk, origin: Origin, lfs: LfsHost, spoiled: bool
) -> None:
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": lfs.put(b"12")})
    if not spoiled:
        lfs.files.clear()
    lfs.spoiled = spoiled
    with pytest.raises(CloneFailed, match="other content" if spoiled else "lacks the file"):
        desk.checkout(origin, ACCESS)
    assert not desk.target.exists() and list((desk.mirror / "lfs").iterdir()) == []


@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("stalled", ["/halden", "/files"])
def test_a_cancel_is_heard_whatever_the_server_does(
    desk: Desk, origin: Origin, lfs: LfsHost, stalled: str, drips: bool
) -> None:
    """In the middle of the list of files, or of a file, it is silent or never pauses."""
    content = os.urandom(2_000_000)
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": lfs.put(content)})
    lfs.stalled, lfs.drips = stalled, drips
    with pytest.raises(Cancelled):
        desk.checkout(origin, ACCESS, cancelled=lfs.stops.is_set)
    assert not desk.target.exists() and list((desk.mirror / "lfs").iterdir()) == []
    assert not drips or lfs.lost.wait(5)
    lfs.stalled = ""
    assert (desk.checkout(origin, ACCESS) / "a.bin").read_bytes() == content


def test_half_a_file_is_none(desk: Desk, origin: Origin, lfs: LfsHost) -> None:
    """The connection is lost in the middle of it."""
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": lfs.put(os.urandom(2_000_000))})
    lfs.stalled = "/files"
    lfs.over.set()
    with pytest.raises(CloneFailed, match="does not answer"):
        desk.checkout(origin, ACCESS)
    assert not desk.target.exists() and list((desk.mirror / "lfs").iterdir()) == []


def test_a_page_that_sends_on_is_not_read(desk: Desk, origin: Origin, lfs: LfsHost) -> None:
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": lfs.put(b"1")})
    lfs.detour = True
    assert (desk.checkout(origin, ACCESS) / "a.bin").read_text() == "1"


def test_a_token_is_for_its_own_host_alone(
    desk: Desk, git_host: GitHost, origin: Origin, lfs: LfsHost
) -> None:
    """Another server's files are fetched without it: as anybody would, and with what it says."""
    git_host.logins["oauth2"] = "s3cret"
    git_host.closed.add("halden/api")
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": lfs.put(b"1")})
    desk.checkout(origin, ACCESS)
    assert {said for _, said in lfs.seen} == {"", "Bearer of-this-file"}
    lfs.login = BASIC
    (desk.mirror / "lfs").joinpath(*lfs.files).unlink()
    desk.target = desk.target.with_name("second")
    with pytest.raises(CloneFailed, match="does not give its files to this app"):
        desk.checkout(origin, ACCESS)
    assert BASIC not in {said for _, said in lfs.seen}


def test_the_repositorys_own_host_is_asked_with_its_token(
    desk: Desk, git_host: GitHost, lfs: LfsHost
) -> None:
    git_host.logins["oauth2"] = "s3cret"
    git_host.closed |= {"halden/api", "halden/api.git"}
    origin = git_host.create("halden/api")
    pointer = lfs.put(b"of its own host")
    origin.commit({".gitattributes": ATTRIBUTES, "a.bin": pointer})
    (oid,) = lfs.files
    action = {"download": {"href": f"{lfs.url}/files/{oid}"}}
    answer = {"objects": [{"oid": oid, "size": 15, "actions": action}]}
    path = "/halden/api.git/info/lfs/objects/batch"
    git_host.answers[path] = json.dumps(answer).encode()
    assert (desk.checkout(origin, ACCESS) / "a.bin").read_text() == "of its own host"
    assert (path, BASIC) in git_host.seen
    assert lfs.seen == [(f"/files/{oid}", "")]


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_no_server_of_this_machine_is_asked(
    tmp_path: Path, git_host: GitHost, lfs: LfsHost, address: str
) -> None:
    """git-lfs itself would: it takes no proxy to a loopback address."""
    port = int(lfs.url.rpartition(":")[2])
    desk = Desk(tmp_path, Rules(localhost=True, closed_ports=frozenset({port})))
    origin = git_host.create("halden/api")
    files = {".gitattributes": ATTRIBUTES, "a.bin": lfs.put(b"1")}
    with serve_lfs() as front:
        front.files, front.objects_at = lfs.files, f"http://{address}:{port}"
        for url in (f"http://{address}:{port}", front.url):
            config = f"[lfs]\n\turl = {url}/halden/api/info/lfs\n"
            origin.commit({**files, ".lfsconfig": config})
            with pytest.raises(CloneFailed, match="leads to an address that is closed"):
                desk.checkout(origin, ACCESS)
    assert lfs.seen == []


@pytest.mark.parametrize("url", ["file:///etc", "ssh://git@git.example.com/a/b", "/etc", "ext::id"])
def test_a_server_that_is_none_of_https_is_refused(
    desk: Desk, origin: Origin, lfs: LfsHost, url: str
) -> None:
    origin.commit(
        {
            ".gitattributes": ATTRIBUTES,
            "a.bin": lfs.put(b"1"),
            ".lfsconfig": f"[lfs]\n\turl = {url}\n",
        }
    )
    with pytest.raises(InvalidSource, match=r"\.lfsconfig names a server"):
        desk.checkout(origin, ACCESS)


@needs(has_sshd(), "sshd")
def test_over_ssh_the_server_says_where_files_are(desk: Desk, lfs: LfsHost, tmp_path: Path) -> None:
    lfs.login = "RemoteAuth of-this-key"
    answer = {"href": f"{lfs.url}/halden/api/info/lfs", "header": {"Authorization": lfs.login}}
    with serve_ssh(tmp_path / "ssh") as host:
        host.command("git-lfs-authenticate", f"echo '{json.dumps(answer)}'")
        origin = host.create("halden/api")
        origin.commit({".gitattributes": ATTRIBUTES, "a.bin": lfs.put(b"over ssh")})
        access = GitAccess(
            ssh_key=host.admit().private, known_hosts=(host.host_key.line,), lfs=True
        )
        assert (desk.checkout(origin, access) / "a.bin").read_text() == "over ssh"
    assert ("/halden/api/info/lfs/objects/batch", lfs.login) in lfs.seen
