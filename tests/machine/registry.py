"""A real image registry of a test's own, from Debian's package docker-registry."""

from __future__ import annotations

import http.client
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from apps.engine.bench import free_ports
from tests.machine.world import wait_until

USER, PASSWORD = "robin", "open-sesame-word"
_HTPASSWD = "robin:$2y$05$vkPi.nSWFiHLOEJjBwjYteHVM/K2UF0tCF19VwKEf1JKU1s0HlcO6"
_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_AUTH = "auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}\n"
_DOCKERFILE = """\
FROM busybox:latest
RUN mkdir /www && echo "{text}" > /www/index.html
EXPOSE 8000
CMD ["httpd", "-f", "-p", "8000", "-h", "/www"]
"""


@dataclass
class Registry:
    """Runs on 127.0.0.1, which engines ask without TLS."""

    folder: Path
    port: int
    is_private: bool
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        text = _CONFIG + (_AUTH if self.is_private else "")
        config = self.folder / "config.yml"
        config.write_text(text.format(folder=self.folder, port=self.port))
        (self.folder / "htpasswd").write_text(_HTPASSWD + "\n")
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The service's own settings are of no concern here.
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
        wait_until(self._answers, "an answer of the registry")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def push(self, name: str, text: str, *, extra: int = 0) -> str:
        """Publish a web server that answers with `text`, and forget it here. `extra` bytes that
        nothing can pack make it larger. Returns the digest."""
        client = docker.from_env()
        repository, _, tag = name.rpartition(":")
        full = f"{self.address}/{repository}"
        try:
            client.images.build(
                fileobj=_context(text, extra), custom_context=True, tag=f"{full}:{tag}", rm=True
            )
            login = {"username": USER, "password": PASSWORD} if self.is_private else None
            for item in client.images.push(full, tag, auth_config=login, stream=True, decode=True):
                assert "error" not in item, item
                if found := item.get("aux", {}).get("Digest"):
                    digest = str(found)
            client.images.remove(f"{full}:{tag}")
            return digest
        finally:
            client.close()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in (200, 401)
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def serve_registry(folder: Path, *, is_private: bool = False) -> Iterator[Registry]:
    """An empty one; it wants a login of everybody where it is private."""
    folder.mkdir(parents=True)
    (port,) = free_ports(1)
    made = Registry(folder, port, is_private)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@dataclass
class SlowFront:
    """Stands before a registry and holds back what its layers consist of."""

    port: int
    began: threading.Event = field(default_factory=threading.Event)
    """Set when somebody has got the first piece of a layer."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set when that one closed the connection before the end."""
    go: threading.Event = field(default_factory=threading.Event)
    """Set to let the rest through, also of what is asked for from then on."""
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def slow_front(registry: Registry) -> Iterator[SlowFront]:
    """Layers come a byte a time, until they may go or the test is over."""
    (port,) = free_ports(1)
    front = SlowFront(port)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, registry, front)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield front
    finally:
        front.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(
    handler: http.server.BaseHTTPRequestHandler, registry: Registry, front: SlowFront
) -> None:
    behind = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=30)
    behind.request(handler.command, handler.path, headers=dict(handler.headers))
    answer = behind.getresponse()
    body = answer.read()
    behind.close()
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        if name.lower() not in ("connection", "date", "transfer-encoding"):
            handler.send_header(name, value)
    handler.end_headers()
    is_layer = "/blobs/" in handler.path and len(body) > 100_000
    if not is_layer:
        handler.wfile.write(body if handler.command == "GET" else b"")
        return
    try:
        for place in range(len(body)):
            handler.wfile.write(body[place : place + 1])
            handler.wfile.flush()
            front.began.set()
            if front.go.wait(0.05):
                handler.wfile.write(body[place + 1 :])
                return
            if front.over.is_set():
                return
    except OSError:
        front.left.set()


def _context(text: str, extra: int) -> io.BytesIO:
    files = {"Dockerfile": _DOCKERFILE.format(text=text).encode()}
    if extra:
        files["Dockerfile"] += b"COPY ballast /ballast\n"
        files["ballast"] = os.urandom(extra)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    return packed
