"""The image that samples build on, on a machine whose engine can pull nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from apps.engine.base_image import SAMPLE_BASE, ensure_sample_base
from apps.engine.deadline import Deadline
from apps.engine.errors import Cancelled, EngineUnavailable
from apps.engine.python_rootfs import find_python, write_rootfs
from apps.engine.samples import SAMPLES


@pytest.fixture(scope="module")
def rootfs() -> Iterator[tarfile.TarFile]:
    with tempfile.TemporaryFile() as file:
        write_rootfs(find_python(), file, deadline=Deadline(60))
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            yield tar


def test_the_file_system_holds_python_and_no_more_than_it_needs(rootfs: tarfile.TarFile) -> None:
    names = rootfs.getnames()
    assert len(names) == len(set(names))
    assert not any(name.startswith("/") or ".." in name.split("/") for name in names)
    assert {"usr/local/bin/python", "usr/local/bin/python3", "etc/passwd", "tmp"} <= set(names)
    assert any(name.endswith("/http/server.py") for name in names)
    assert any("/libc.so" in name or "ld-musl" in name for name in names)
    for unwanted in ["/test/", "/site-packages/", "/dist-packages/", "/idlelib/", "/bin/sh"]:
        assert not any(unwanted in name for name in names)
    assert sum(entry.size for entry in rootfs) < 120_000_000


def test_every_user_can_read_the_file_system(rootfs: tarfile.TarFile) -> None:
    for entry in rootfs:
        if entry.isfile():
            assert entry.mode & 0o444 == 0o444
        elif entry.isdir() and entry.name != "root":
            assert entry.mode & 0o555 == 0o555
    assert rootfs.getmember("tmp").mode == 0o1777
    assert not any(entry.mode & 0o6000 for entry in rootfs)


def test_the_parents_of_a_file_come_before_it(rootfs: tarfile.TarFile) -> None:
    seen = {"."}
    for entry in rootfs:
        assert os.path.dirname(entry.name) in seen or os.path.dirname(entry.name) == ""
        seen.add(entry.name)


def test_no_engine_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="does not answer"):
        ensure_sample_base(
            log=list[str]().append,
            deadline=Deadline(30),
            docker_host=f"unix://{tmp_path}/no.sock",
        )


@pytest.fixture
def silent_engine() -> Iterator[tuple[str, threading.Event]]:
    """An engine that is there, has no image, and hangs when it is asked to pull."""
    pulling, gone = threading.Event(), threading.Event()

    class Engine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/version"):
                body = b'{"ApiVersion": "1.41"}'
                self.send_response(200)
            else:
                body = b'{"message": "no such image"}'
                self.send_response(404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            pulling.set()
            gone.wait(60)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Engine)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}", pulling
    gone.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_pull_that_hangs_can_be_cancelled(silent_engine: tuple[str, threading.Event]) -> None:
    host, pulling = silent_engine
    with pytest.raises(Cancelled):
        ensure_sample_base(
            log=list[str]().append,
            deadline=Deadline(60, cancelled=pulling.is_set),
            docker_host=host,
        )


@pytest.fixture
def tag() -> Iterator[str]:
    """Tag for the images of one test, which are removed afterwards."""
    tag = uuid.uuid4().hex[:8]
    yield tag
    with contextlib.closing(docker.from_env()) as client:
        for name in ["hello", "base"]:
            with contextlib.suppress(ImageNotFound):
                client.images.remove(f"mist-test/{name}:{tag}", force=True)


@pytest.mark.docker
def test_the_hello_sample_builds_on_it_and_answers(tag: str, tmp_path: Path) -> None:
    client = docker.from_env()
    base, hello = f"mist-test/base:{tag}", f"mist-test/hello:{tag}"
    log: list[str] = []
    ensure_sample_base(log=log.append, deadline=Deadline(120), image=base)
    assert log[-1].startswith("The sample builds on ")
    made = client.images.get(base).id
    ensure_sample_base(log=pytest.fail, deadline=Deadline(120), image=base)
    assert client.images.get(base).id == made

    context = shutil.copytree(SAMPLES / "hello", tmp_path / "hello")
    dockerfile = (context / "Dockerfile").read_text()
    assert SAMPLE_BASE in dockerfile
    (context / "Dockerfile").write_text(dockerfile.replace(SAMPLE_BASE, base))
    image, _ = client.images.build(path=str(context), tag=hello, rm=True)
    container = client.containers.run(
        image, detach=True, ports={"8000/tcp": ("127.0.0.1", 0)}, cap_drop=["ALL"]
    )
    try:
        container.reload()
        bindings = container.ports["8000/tcp"]
        assert bindings
        port = bindings[0]["HostPort"]
        assert "Hello from Mist" in _first_answer(f"http://127.0.0.1:{port}/")
        container.stop(timeout=10)
        assert container.wait()["StatusCode"] == 0
        assert "Every request is answered" in container.logs().decode()
    finally:
        container.remove(force=True)
        client.close()


def _first_answer(url: str) -> str:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.status == 200
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)
