"""Git's smart HTTP, asked of the ASGI application as the web server asks it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import connection

from apps.deployments import pipeline
from apps.deployments.models import Deployment
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.engine.pkt_line import FLUSH, ZERO, pkt, read_report
from apps.projects.models import App, ProjectRole
from apps.projects.selectors import kept_path
from mist_project.asgi import application
from mist_project.request_bodies import incoming
from tests.engine.git_host import Origin
from tests.pushes.conftest import push_request
from tests.security.test_headers_send import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)
HERE = "/git/shop/pushed.git"
PUSH = f"{HERE}/git-receive-pack"
Person = Callable[..., str]


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def bands(self) -> dict[int, bytes]:
        """What each band of the sideband carried."""
        found, at = {1: b"", 2: b""}, 0
        while self.body[at : at + 4] != FLUSH:
            length = int(self.body[at : at + 4], 16)
            found[self.body[at + 4]] += self.body[at + 5 : at + length]
            at += length
        assert self.body[at:] == FLUSH
        return found


class Line:
    """One connection."""

    def __init__(self, method: str, path: str, secret: str, **headers: str) -> None:
        plain, _, query = path.partition("?")
        given = {"host": "localhost", **{n.replace("_", "-"): v for n, v in headers.items()}}
        if secret:
            given["authorization"] = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
        self.scope: dict[str, Any] = {
            "type": "http", "method": method, "path": plain, "raw_path": plain.encode(),
            "query_string": query.encode(), "scheme": "http", "root_path": "",
            "headers": [(n.encode(), v.encode()) for n, v in given.items()],
            "client": ["127.0.0.1", 1], "server": ["127.0.0.1", 80],
        }  # fmt: skip
        make: Any = ApplicationCommunicator
        self.line = make(application, self.scope)

    async def send(self, body: bytes, pieces: int = 1) -> None:
        size = -(-len(body) // pieces) or 1
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        for n, part in enumerate(parts):
            more = n + 1 < len(parts)
            await self.line.send_input({"type": "http.request", "body": part, "more_body": more})

    async def answer(self, start: Any = None, body: bytes = b"") -> Answer:
        """All of it, after what was heard already."""
        start, more = start or await self.line.receive_output(20), True
        while more:
            piece = await self.line.receive_output(20)
            body, more = body + piece.get("body", b""), piece.get("more_body", False)
        await self.line.wait(20)
        headers = {n.decode().title(): v.decode() for n, v in start["headers"]}
        return Answer(start["status"], headers, body)


async def ask(
    method: str, path: str, secret: str = "", body: bytes = b"", *, pieces: int = 1, **more: str
) -> Answer:
    line = Line(method, path, secret, **more)
    await line.send(body, pieces)
    return await line.answer()


@pytest.fixture
def dora(fake: FakeEngine, pushed: App, person: Person) -> str:
    return person("dora", ProjectRole.DEVELOPER, "deploy")


@pytest.fixture
def by_hand(pushed: App) -> None:
    """Nothing is waited for."""
    App.objects.update(auto_deploy=False)


def head(code: Origin) -> str:
    return code.git("rev-parse", "HEAD")


def first_push(code: Origin) -> bytes:
    return push_request(code, ("", head(code), "refs/heads/main"))


async def test_refusals_are_plain_sentences_with_every_header(dora: str) -> None:
    answer = await ask("GET", f"{HERE}/info/refs?service=git-receive-pack")
    assert answer.status == 401 and answer.headers["Www-Authenticate"].startswith("Basic")
    assert answer.headers["Content-Type"].startswith("text/plain") and answer.body.endswith(b".\n")
    assert wrong_with(answer.headers) == []
    assert (await ask("GET", "/git/", dora)).status == 404


async def test_a_cookie_counts_for_nothing(dora: str, client: Any, alice: Any) -> None:
    await sync_to_async(client.force_login)(alice)
    cookies = "; ".join(f"{name}={one.value}" for name, one in client.cookies.items())
    answer = await ask("GET", f"{HERE}/info/refs?service=git-upload-pack", cookie=cookies)
    assert answer.status == 401


async def test_branches_are_listed_before_anything_was_pushed(dora: str) -> None:
    for service in ("git-receive-pack", "git-upload-pack"):
        answer = await ask("GET", f"{HERE}/info/refs?service={service}", dora)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == f"application/x-{service}-advertisement"
        assert answer.body.startswith(pkt(f"# service={service}\n".encode()) + FLUSH)
    newer = await ask(
        "GET", f"{HERE}/info/refs?service=git-upload-pack", dora, git_protocol="version=2"
    )
    assert b"version 2" in newer.body


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_push_is_taken_in_any_pieces(dora: str, code: Origin, pieces: int) -> None:
    answer = await ask("POST", PUSH, dora, first_push(code), pieces=pieces)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-git-receive-pack-result"
    report = read_report(answer.bands[1])
    assert report is not None and report.refs == {"refs/heads/main": ""}
    assert b"by hand" in answer.bands[2]
    listed = await ask("GET", f"{HERE}/info/refs?service=git-upload-pack", dora)
    assert head(code).encode() in listed.body and b"refs/mist" not in listed.body
    assert list(incoming().iterdir()) == []


@pytest.mark.usefixtures("by_hand")
async def test_a_packed_push_is_unpacked(dora: str, code: Origin) -> None:
    body = gzip.compress(first_push(code))
    answer = await ask("POST", PUSH, dora, body, pieces=3, content_encoding="gzip")
    assert b"ok refs/heads/main" in answer.bands[1]
    broken = await ask("POST", PUSH, dora, body[:60], content_encoding="gzip")
    assert broken.status == 400


async def test_a_request_that_only_tries_is_answered_with_nothing(dora: str) -> None:
    answer = await ask("POST", PUSH, dora, FLUSH)
    assert (answer.status, answer.body) == (200, b"")
    assert (await ask("POST", PUSH, dora, b"hello")).status == 400


async def test_a_push_over_the_limit_is_told_so(dora: str, code: Origin, settings: Any) -> None:
    settings.MIST_PUSH_LIMIT_MB = 1
    answer = await ask("POST", PUSH, dora, first_push(code) + bytes(1024 * 1024), pieces=9)
    assert b"A push may have 1 MB at most" in answer.bands[2]
    assert b"ng refs/heads/main the push is too large" in answer.bands[1]
    packed = gzip.compress(first_push(code) + bytes(2 * 1024 * 1024))
    answer = await ask("POST", PUSH, dora, packed, content_encoding="gzip")
    assert b"A push may have 1 MB at most" in answer.bands[2]


@pytest.mark.usefixtures("by_hand")
async def test_a_client_without_a_sideband_gets_the_report_alone(dora: str, code: Origin) -> None:
    body = first_push(code)
    line = pkt(f"{ZERO} {head(code)} refs/heads/main\0 report-status".encode())
    answer = await ask("POST", PUSH, dora, line + body[int(body[:4], 16) :])
    report = read_report(answer.body)
    assert report is not None and report.refs == {"refs/heads/main": ""}


async def test_a_pusher_hears_the_build_and_who_hangs_up_ends_nothing(
    dora: str, code: Origin
) -> None:
    line = Line("POST", PUSH, dora)
    await line.send(first_push(code))
    await line.line.receive_output(20)
    while b"Ctrl-C" not in (await line.line.receive_output(20))["body"]:
        pass
    await line.line.send_input({"type": "http.disconnect"})
    await line.line.wait(20)
    waiting = await sync_to_async(Deployment.objects.get)()
    assert waiting.is_unfinished and waiting.cancel_requested_at is None
    again = Line("POST", PUSH, dora)
    await again.send(first_push(code))
    start, heard = await again.line.receive_output(20), b""
    while b"Ctrl-C" not in heard:
        heard += (await again.line.receive_output(20))["body"]
    await sync_to_async(_run_next, thread_sensitive=False)()
    answer = await again.answer(start, heard)
    assert b"-> Building Dockerfile" in answer.bands[2] and b"Live: http" in answer.bands[2]
    assert b"ok refs/heads/main" in answer.bands[1]
    assert await sync_to_async(Deployment.objects.count)() == 1


async def test_what_fails_inside_mist_is_a_refusal(dora: str, code: Origin, pushed: App) -> None:
    path = kept_path(pushed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no folder")
    answer = await ask("POST", PUSH, dora, first_push(code))
    assert answer.status == 200 and b"ng refs/heads/main" in answer.bands[1]


def _run_next() -> None:
    try:
        claimed = claim_next()
        assert claimed is not None
        pipeline.run(claimed)
    finally:
        connection.close()
