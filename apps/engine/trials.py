"""What soak and bench do outside Mist: a Git host with an app, and harm to containers."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from docker.errors import NotFound

from apps.engine.client import guard, own_client
from apps.engine.data import EngineConfig
from apps.engine.errors import CloneFailed
from apps.engine.git_http import respond
from apps.engine.git_process import git_command, git_environment
from apps.engine.samples import SAMPLES

STEPS = {
    "slow": "import time; time.sleep(3)",
    "endless": "import time; time.sleep(600)",
    "broken": "raise SystemExit(7)",
}
"""Kind of version → what its build does, in Python: the sample's base image may have no shell. That
of any other does nothing."""
SLOW = """        else:
            if path == "/slow":
                time.sleep(20)
"""
CHANGES = {
    "unwell": (('"/healthz"', '"/elsewhere"'),),
    "wary": (
        ("import threading\n", "import threading\nimport time\n"),
        ("VERSION =", "READY = time.monotonic() + 2\nVERSION ="),
        ("self.answer(200,", "self.answer(200 if time.monotonic() > READY else 503,"),
    ),
    "patient": (
        ("import threading\n", "import threading\nimport time\n"),
        ("        else:\n", SLOW),
    ),
}
"""Kind of version → what its program has instead of what. An unwell one fails its health check, a
wary one passes it two seconds after its start, a patient one answers `/slow` after twenty."""


class Repository:
    """A bare repository with the sample app, a branch for each kind of version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0
        _git(["init", "--bare", "--quiet", "--template=", "--initial-branch=good", str(path)])

    def commit(self, kind: str) -> None:
        """A new version of that kind at its branch's tip. Raises `CloneFailed`."""
        self._count += 1
        sample = SAMPLES / "hello"
        app = (sample / "app.py").read_text()
        for old, new in CHANGES.get(kind, ()):
            app = app.replace(old, new)
        dockerfile = (sample / "Dockerfile").read_text()
        step = f"print('version {self._count}'); {STEPS.get(kind, 'pass')}"
        files = {
            "app.py": app,
            "page.html": (sample / "page.html").read_text(),
            "Dockerfile": dockerfile.replace("CMD", f'RUN ["python", "-c", "{step}"]\nCMD'),
        }
        _git([f"--git-dir={self.path}", "fast-import", "--quiet"], self._stream(kind, files))

    def _stream(self, kind: str, files: Mapping[str, str]) -> bytes:
        branch = f"refs/heads/{kind}"
        message = f"Version {self._count}, {kind}"
        lines = [
            f"commit {branch}",
            f"committer Soak <soak@localhost> {time.time():.0f} +0000",
            f"data {len(message)}",
            message,
        ]
        if (self.path / branch).is_file():
            lines.append(f"from {branch}^0")
        for name, text in files.items():
            lines += [f"M 100644 inline {name}", f"data {len(text.encode())}", text]
        return "\n".join([*lines, ""]).encode()


def _git(words: list[str], stdin: bytes = b"") -> None:
    done = subprocess.run(
        git_command(*words),
        env=git_environment(),
        cwd="/",
        input=stdin,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise CloneFailed("Git failed.", detail=done.stderr.decode("utf-8", "replace"))


@contextlib.contextmanager
def served(repository: Repository) -> Iterator[str]:
    """The repository's address on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            rest = path.removeprefix("/soak/app")
            answer = respond(
                repository.path, self.command, rest, query, dict(self.headers.items()), body
            )
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.end_headers()
            # A git that is killed in the middle is part of it.
            with contextlib.suppress(OSError):
                for chunk in answer.chunks:
                    self.wfile.write(chunk)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/soak/app"
    finally:
        server.shutdown()
        server.server_close()


def kill_process_of(config: EngineConfig, container_id: str) -> bool:
    """SIGKILL to a container's first process, as the kernel does when memory ends; it is gone
    afterwards. False when it does not run. Raises `EngineUnavailable`."""
    with own_client(config.docker_host) as client, guard():
        try:
            pid = int(client.api.inspect_container(container_id)["State"]["Pid"])
        except NotFound:
            return False
    if not pid:
        return False
    with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        process = psutil.Process(pid)
        process.kill()
        process.wait(10)
    return True
