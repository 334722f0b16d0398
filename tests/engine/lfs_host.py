"""A Git LFS server for tests, after git-lfs's docs/api/batch.md: files by their ids."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


@dataclass
class LfsHost:
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    login: str = ""
    """The Authorization header that is wanted for a list of files."""
    objects_at: str = ""
    """Where files are said to be; empty for here."""
    spoiled: bool = False
    """Whether files arrive other than they were put."""
    stalled: str = ""
    """Beginning of the paths at which an answer gets no further than its half, for ten seconds;
    then the connection ends."""
    drips: bool = False
    """Whether a byte comes now and then meanwhile."""
    stops: threading.Event = field(default_factory=threading.Event)
    """Set once one has stopped there."""
    lost: threading.Event = field(default_factory=threading.Event)
    """Set once its client is gone."""
    detour: bool = False
    """Whether who asks for a file is sent on, with a page that has no end."""
    over: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization header of each request."""

    def put(self, content: bytes) -> str:
        """The pointer that a repository has for it."""
        oid = hashlib.sha256(content).hexdigest()
        self.files[oid] = content
        return POINTER.format(oid=oid, size=len(content))

    def downloads(self) -> int:
        return sum(path.startswith("/files/") for path, _ in self.seen)


def _entry(host: LfsHost, wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted["oid"] not in host.files:
        return {**wanted, "error": {"code": 404, "message": "Object does not exist"}}
    href = f"{host.objects_at or host.url}/files/{wanted['oid']}"
    action = {"href": href, "header": {"Authorization": "Bearer of-this-file"}}
    return {**wanted, "actions": {"download": action}}


def _handler(host: LfsHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.seen.append((self.path, self.headers.get("Authorization", "")))
            if host.detour and "?" not in self.path:
                self._send_on(f"{host.url}{self.path}?again")
                return
            content = host.files[self.path.partition("?")[0].rpartition("/")[2]]
            self._answer(200, content[::-1] if host.spoiled else content)

        def do_POST(self) -> None:
            said = self.headers.get("Authorization", "")
            host.seen.append((self.path, said))
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.path.endswith("/info/lfs/objects/batch"):
                self._answer(404, b"")
            elif host.login and said != host.login:
                self._answer(401, b"")
            else:
                objects = [_entry(host, wanted) for wanted in body["objects"]]
                self._answer(200, json.dumps({"objects": objects}).encode())

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            if host.stalled and self.path.startswith(host.stalled):
                host.stops.set()
                self._stall(content[half:])
            else:
                self.wfile.write(content[half:])

        def _stall(self, rest: bytes) -> None:
            self.close_connection = True
            for number in range(200):
                if host.over.wait(0.05):
                    break
                try:
                    self.wfile.write(rest[number : number + 1] if host.drips else b"")
                except OSError:
                    host.lost.set()
                    break

        def _send_on(self, url: str) -> None:
            self.send_response(302)
            self.send_header("Location", url)
            self.send_header("Content-Length", str(10**12))
            self.end_headers()
            self._stall(b"")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


@contextlib.contextmanager
def serve_lfs() -> Iterator[LfsHost]:
    host = LfsHost()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(host))
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        host.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
