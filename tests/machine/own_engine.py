"""A Docker engine of a test's own: it may be restarted, which nobody may do to the machine's.

It has its own socket, data, containerd and default bridge, and leaves the machine's firewall alone:
processes of this machine reach its containers directly. A gate stands in front of its socket, so
that a test can hold a request as a slow engine would.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import DockerException

from apps.engine.install import find_daemon

_PLACE = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{os.getpid() % 8}").removeprefix("gw")) % 8
BRIDGE = f"mist-t{os.getpid()}"
BRIDGE_ADDRESS = f"10.251.{128 + _PLACE}.1/24"
POOL = f"10.251.{_PLACE * 16}.0/20"
"""For `MIST_NETWORK_POOL`: nobody else's on this machine, other tests' engines among them."""
START_SECONDS = 120.0


@dataclass
class Gate:
    """Passes a socket on, byte by byte; requests that match `holds` wait at it."""

    path: Path
    behind: Path
    holds: re.Pattern[bytes] | None = None
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set once a request waits."""
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def held(self, pattern: bytes) -> Iterator[None]:
        """Hold requests whose first line matches; they go on afterwards."""
        self.waiting.clear()
        self.holds = re.compile(pattern)
        try:
            yield
        finally:
            self.holds = None

    def open(self) -> None:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self.path))
        self._server.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self.holds = None
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                front, _ = self._server.accept()
            except OSError:
                return
            back = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                back.connect(str(self.behind))
            except OSError:
                front.close()
                back.close()
                continue
            for ends in ((front, back, True), (back, front, False)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks:
                    self._wait(data)
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                # Each side may still have something to say when the other is done with asking.
                one.shutdown(socket.SHUT_RD if one is source else socket.SHUT_WR)

    def _wait(self, data: bytes) -> None:
        line = data[:300].partition(b"\r\n")[0]
        while (pattern := self.holds) is not None and pattern.search(line):
            self.waiting.set()
            time.sleep(0.02)


class OwnEngine:
    """The engine's process. `host` is what `DOCKER_HOST` wants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = folder / "engine.sock"
        self.gate = Gate(folder / "gate.sock", self._socket)

    @property
    def host(self) -> str:
        return f"unix://{self.gate.path}"

    def start(self, *, live_restore: bool = True) -> None:
        """With what `stop` left. Return when it answers. Raises `AssertionError` with its last words when it never does."""
        daemon = find_daemon()
        assert daemon is not None
        config = self._folder / "daemon.json"
        config.write_text(json.dumps({"live-restore": live_restore}))
        log = self._folder / "engine.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(daemon, f"--config-file={config}", f"--host=unix://{self._socket}"),
                    *(f"--data-root={self._folder}/data", f"--exec-root={self._folder}/exec"),
                    *(f"--pidfile={self._folder}/engine.pid", f"--bridge={BRIDGE}"),
                    *("--iptables=false", "--ip-forward=false", "--ip-masq=false"),
                    "--userland-proxy=false",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # A proxy of the machine is none for this engine's own sockets.
                env={k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")},
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < until, log.read_text()[
                -2000:
            ]
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon; with live-restore its containers run on."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None
        (self._folder / "engine.pid").unlink(missing_ok=True)

    def client(self) -> docker.DockerClient:
        """Past the gate."""
        return docker.DockerClient(f"unix://{self._socket}", version="1.41", timeout=120)

    def _answers(self) -> bool:
        try:
            with closing(self.client()) as client:
                return bool(client.ping())
        except (DockerException, OSError):
            return False

    def load(self, images: Sequence[str]) -> None:
        """Give it images of the machine's engine."""
        with tempfile.TemporaryFile() as file:
            subprocess.run(["docker", "save", *images], stdout=file, check=True)
            file.seek(0)
            argv = ["docker", f"--host=unix://{self._socket}", "load", "--quiet"]
            subprocess.run(argv, stdin=file, stdout=subprocess.DEVNULL, check=True)

    def clear(self) -> None:
        """Nothing of it runs or is mounted afterwards."""
        if self._process is not None and self._answers():
            with closing(self.client()) as client:
                for container in client.containers.list(all=True):
                    container.remove(force=True, v=True)
                for network in client.networks.list(filters={"type": "custom"}):
                    network.remove()
        self.stop()


@contextmanager
def own_engine(images: Sequence[str], *, live_restore: bool = True) -> Iterator[OwnEngine]:
    """An engine that has these images of the machine's own, gone afterwards."""
    # Sockets have short paths.
    folder = Path(tempfile.mkdtemp(prefix="mist-engine-"))
    _ip("link", "add", BRIDGE, "type", "bridge")
    engine = OwnEngine(folder)
    try:
        _ip("addr", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        engine.start(live_restore=live_restore)
        engine.load(images)
        engine.gate.open()
        yield engine
    finally:
        engine.gate.close()
        engine.clear()
        _ip("link", "del", BRIDGE)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (where := line.split()[1]).startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", where], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
