"""An archive larger than any form, sent to the real web server as a browser and curl send it."""

from __future__ import annotations

import io
import os
import re
import socket
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.engine.deadline import Deadline
from apps.engine.kept import kept
from mist_project.asgi import BODY_MAX
from tests.browser.serving import serve_pages
from tests.security.test_web_server_limit import Served

UPLOAD = "/projects/shop/apps/web/source/upload/"
LINE = "a-line-between-parts"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str, Path]]:
    """A Mist with the app shop/web, what its forms ask for besides, and where its files are."""
    folder = tmp_path_factory.mktemp("uploads") / "data"
    with serve_pages(folder, filled=False) as pages:
        made = Served(pages)
        page = urllib.request.Request(f"{made.url}/new-project/", headers={"Cookie": made.cookies})
        with urllib.request.urlopen(page) as answer:
            found = re.search(r'csrfmiddlewaretoken" value="([^"]+)', answer.read().decode())
        assert found is not None
        for path, fields in (
            ("/new-project/", {"slug": "shop"}),
            ("/projects/shop/new-app/", {"slug": "web", "source_kind": "mist"}),
        ):
            body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": found[1]}).encode()
            headers = f"Content-Type: application/x-www-form-urlencoded\r\nCookie: {made.cookies}"
            head = f"POST {path} HTTP/1.1\r\nHost: {made.host}\r\nConnection: close\r\n{headers}"
            status, _, _ = made.say(
                f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            assert status == 302
        yield made, found[1], folder


def form(csrf: str, megabytes: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in {
            "Dockerfile": b"FROM scratch\n",
            "chance": os.urandom(megabytes * 1024 * 1024),
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    parts = (
        f'--{LINE}\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{csrf}\r\n'
        f'--{LINE}\r\nContent-Disposition: form-data; name="archive"; filename="shop.tar"\r\n\r\n'
    )
    return parts.encode() + packed.getvalue() + f"\r\n--{LINE}--\r\n".encode()


def head(served: Served, body: bytes, *more: str) -> bytes:
    lines = [
        f"POST {UPLOAD} HTTP/1.1", f"Host: {served.host}", "Connection: close",
        f"Content-Type: multipart/form-data; boundary={LINE}", f"Content-Length: {len(body)}",
        *more, "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def test_a_large_archive_is_taken_and_deployed(served: tuple[Served, str, Path]) -> None:
    mist, csrf, folder = served
    body = form(csrf, 20)
    assert len(body) > 2 * BODY_MAX
    with socket.create_connection(("127.0.0.1", mist.port), timeout=60) as line:
        line.sendall(head(mist, body, f"Cookie: {mist.cookies}", "Expect: 100-continue"))
        assert line.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(body)
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
    assert b" 302 " in answer.partition(b"\r\n")[0], answer[:2_000]
    assert b"/projects/shop/apps/web/deployments/1/" in answer
    [repository] = (folder / "git").glob("*.git")
    with kept(repository, branch="main", deadline=Deadline()) as found:
        assert found.find("main").message == "Upload of shop.tar"
    assert list((folder / "incoming").iterdir()) == []


def test_nobody_else_sends_more_than_a_form(served: tuple[Served, str, Path]) -> None:
    mist, csrf, _ = served
    body = form(csrf, 20)
    status, _, said = mist.say(head(mist, body), body)
    assert status == 413 and b"8 MB at most" in said
