"""What visitors see of a whole Mist while an app, or Mist itself, is away."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.machine.live import LiveMist, live_mist
from tests.machine.world import wait_until

pytestmark = pytest.mark.docker
HOST = "hello-demo.localhost"
STOP = """
from apps.deployments.services import app_stop
from apps.projects.models import App
app_stop(app=App.objects.get())
"""


def knock(mist: LiveMist, host: str) -> str:
    """The first line of the answer to who wants a WebSocket."""
    words = f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    words += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(mist.env["MIST_HTTP_PORT"])), 10) as sock:
        sock.sendall(words.encode())
        return sock.makefile("rb").readline().decode().strip()


def test_the_status_is_right_with_mist_and_without_it(tmp_path: Path) -> None:
    with live_mist(tmp_path / "data") as mist:
        mist.run("demo", "--no-open")
        assert mist.visit(HOST)[0] == 200
        status, page = mist.visit("nobody.example.com")
        assert status == 404 and "Nothing is here" in page
        mist.run("shell", "-c", STOP)
        wait_until(lambda: mist.visit(HOST)[0] == 503, "the end", 180)
        assert "Not available right now" in mist.visit(HOST)[1]
        assert knock(mist, HOST).startswith("HTTP/1.1 503")
        mist.kill()
        assert mist.visit(HOST) == (503, "Bad Gateway")
        assert mist.visit("nobody.example.com") == (404, "Bad Gateway")
        assert knock(mist, HOST).startswith("HTTP/1.1 503")
