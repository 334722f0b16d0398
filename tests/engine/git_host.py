"""A Git host for tests: real repositories, served over smart HTTP on a port of its own."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from apps.engine.git_http import respond

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Alice Halden",
    "GIT_AUTHOR_EMAIL": "alice@example.com",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05+01:00",
    "GIT_COMMITTER_NAME": "Alice Halden",
    "GIT_COMMITTER_EMAIL": "alice@example.com",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+01:00",
}


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=ENVIRONMENT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass
class Origin:
    """A repository with a work tree, and its address at the host."""

    path: Path
    url: str

    def git(self, *arguments: str) -> str:
        return git(self.path, *arguments)

    def commit(self, files: Mapping[str, str | bytes], message: str = "Change something") -> str:
        """Write the files and commit everything; returns the SHA."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


@dataclass
class GitHost:
    root: Path
    url: str
    closed: set[str] = field(default_factory=set)
    """Repositories that ask for a login."""
    logins: dict[str, str] = field(default_factory=dict)
    """What opens them: name → password. Without any nobody gets in."""
    seen: list[tuple[str, str]] = field(default_factory=list)
    """The path and the Authorization header of every request."""
    answers: dict[str, bytes] = field(default_factory=dict)
    """What else is here: path → content."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Repository → the address that its requests are sent on to."""
    old_protocol: bool = False
    """Speak version 0, in which only tips of branches and tags can be asked for."""
    sent: int = 0
    """Bytes of packs and ref lists that left this host."""
    stalled: threading.Event = field(default_factory=threading.Event)
    """While set, requests hang."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set with every request."""

    def create(self, name: str) -> Origin:
        path = self.root / name
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--initial-branch=main")
        return Origin(path, f"{self.url}/{name}")


def _opens(host: GitHost, said: str) -> bool:
    pairs = (f"{name}:{password}" for name, password in host.logins.items())
    return said in {f"Basic {base64.b64encode(pair.encode()).decode()}" for pair in pairs}


def _handler(host: GitHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.set()
            while host.stalled.is_set():
                self.server.gone.wait(0.05)  # type: ignore[attr-defined]
            path, _, query = self.path.partition("?")
            owner, name, rest = (*path.strip("/").split("/", 2), "", "")[:3]
            repo = host.root / owner / name / ".git"
            said = self.headers.get("Authorization", "")
            host.seen.append((self.path, said))
            if f"{owner}/{name}" in host.closed and not _opens(host, said):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="Git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if (content := host.answers.get(path)) is not None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            if (to := host.redirects.get(f"{owner}/{name}")) is not None:
                self.send_response(302)
                self.send_header("Location", f"{to}/{rest}?{query}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if not repo.is_dir():
                self.send_error(404)
                return
            headers = dict(self.headers.items())
            if host.old_protocol:
                headers.pop("Git-Protocol", None)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = respond(repo, self.command, f"/{rest}", query, headers, body)
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.end_headers()
            for chunk in answer.chunks:
                host.sent += len(chunk)
                self.wfile.write(chunk)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.gone = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the tests."""


@contextlib.contextmanager
def serve_git(root: Path, address: str = "127.0.0.1") -> Iterator[GitHost]:
    """Serve on an address of this machine; containers reach that of the engine's bridge."""
    host = GitHost(root, "")
    server = _Server((address, 0), _handler(host))
    host.url = f"http://{address}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        host.stalled.clear()
        server.shutdown()
        server.server_close()
        thread.join()
