"""Why a fetch did not work, in words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from apps.engine.data import GitAccess
from apps.engine.deploy_keys import new_deploy_key
from apps.engine.errors import (
    CloneFailed,
    EngineError,
    HostKeyRefused,
    OutOfDisk,
)
from apps.engine.git_errors import disk_errors_explained, explain
from tests.engine.conftest import Fetch
from tests.engine.git_host import GitHost


@pytest.mark.parametrize("closed", [True, False])
def test_a_private_or_missing_repository_is_called_so(
    git_host: GitHost, fetch: Fetch, closed: bool
) -> None:
    git_host.closed = {"halden/secret"} if closed else set()
    with pytest.raises(CloneFailed, match="halden/secret at .* is private or does not exist"):
        fetch(f"{git_host.url}/halden/secret")


def test_an_unknown_host_is_named(fetch: Fetch) -> None:
    with pytest.raises(CloneFailed, match=r"The host no-such-host\.invalid was not found"):
        fetch("https://no-such-host.invalid/halden/api")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_refused_connection_is_called_so(fetch: Fetch, closed_port: int) -> None:
    with pytest.raises(CloneFailed, match=f"Nothing answers at 127.0.0.1:{closed_port}"):
        fetch(f"http://127.0.0.1:{closed_port}/halden/api")


def test_a_refused_ssh_connection_is_called_so(fetch: Fetch, closed_port: int) -> None:
    with pytest.raises(CloneFailed, match=f"Nothing answers at 127.0.0.1:{closed_port}"):
        fetch(
            f"ssh://git@127.0.0.1:{closed_port}/halden/api",
            access=GitAccess(ssh_key=new_deploy_key("app").private),
        )


@pytest.fixture
def web_page() -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Hello</title>\n")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/some/page"
        server.shutdown()


def test_a_web_page_is_no_repository(fetch: Fetch, web_page: str) -> None:
    with pytest.raises(CloneFailed, match="not to a Git repository"):
        fetch(f"http://{web_page}")


def test_a_server_without_tls_is_called_so(fetch: Fetch, web_page: str) -> None:
    with pytest.raises(CloneFailed, match="No trusted TLS connection"):
        fetch(f"https://{web_page}")


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("fatal: write error: No space left on device", OutOfDisk, "disk is full"),
        ("error: Disk quota exceeded", OutOfDisk, "disk is full"),
        ("ssh: Could not resolve hostname x: Name or service not known", CloneFailed, "not found"),
        ("git@x: Permission denied (publickey).", CloneFailed, "does not accept"),
        ("Host key verification failed.", HostKeyRefused, "SSH key of git.example.com"),
        ("fatal: Could not read from remote repository. ERROR: Repository not found.",
         CloneFailed, "private or does not exist"),
        ("fatal: unable to access 'x': server certificate verification failed.",
         CloneFailed, "TLS"),
        ("fatal: unable to access 'x': The requested URL returned error: 403",
         CloneFailed, "private or does not exist"),
        ("error: RPC failed; curl 18 transfer closed", CloneFailed, "broke"),
        ("fatal: dumb http transport does not support shallow capabilities", CloneFailed, "plain files"),
        ("fatal: Operation too slow. Less than 1000 bytes/sec", CloneFailed, "in time"),
    ],
)  # fmt: skip
def test_it_explains_what_git_said(line: str, kind: type[EngineError], words: str) -> None:
    reason = explain(["remote: something", line], "https://git.example.com/halden/api")
    assert type(reason) is kind
    assert reason is not None
    assert words in reason.sentence
    assert reason.hint
    assert line in reason.detail


def test_unknown_words_of_git_have_no_reason() -> None:
    assert explain(["fatal: the moon is full"], "https://git.example.com/halden/api") is None


def test_a_full_disk_of_our_own_is_out_of_disk() -> None:
    with pytest.raises(OutOfDisk), disk_errors_explained("write"), open("/dev/full", "w") as full:
        full.write("x")
