"""The hello app itself: what it answers, and that it stops without dropping a request."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from apps.engine.samples import SAMPLES


@pytest.fixture
def app() -> Iterator[tuple[subprocess.Popen[str], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-u", str(SAMPLES / "hello" / "app.py")],
        env={**os.environ, "PORT": str(port), "MIST_COMMIT": "0123456789" * 4},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"hello 1.2 (0123456) listens on port {port}\n"
    yield process, port
    process.kill()
    process.communicate()


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_it_tells_what_runs_and_counts(app: tuple[subprocess.Popen[str], int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", app[1])
    assert get(connection, "/healthz") == (200, "ok\n")
    assert get(connection, "/nothing")[0] == 404
    status, first = get(connection, "/")
    assert status == 200
    for fact in ["1.2", "0123456", socket.gethostname(), ">1<"]:
        assert fact in first
    assert ">2<" in get(connection, "/?again")[1]


def test_it_finishes_what_is_open_when_it_is_asked_to_stop(
    app: tuple[subprocess.Popen[str], int],
) -> None:
    process, port = app
    idle = http.client.HTTPConnection("127.0.0.1", port)
    assert get(idle, "/healthz")[0] == 200
    half = socket.create_connection(("127.0.0.1", port))
    half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert get(idle, "/healthz")[0] == 200
    half.sendall(b"\r\n")
    first = half.recv(100)
    process.send_signal(signal.SIGTERM)
    rest = b"".join(iter(lambda: half.recv(65_536), b""))
    assert (first + rest).startswith(b"HTTP/1.1 200 OK\r\n")
    assert (first + rest).endswith(b"</html>\n")
    assert process.communicate(timeout=60)[0] == "Every request is answered; good-bye.\n"
    assert process.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
