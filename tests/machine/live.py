"""A whole Mist, started as a person starts it: ./mist up in an empty data directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from apps.engine.bench import free_ports
from apps.engine.process import living_pid
from apps.system.management.own_instance import PORTS
from tests.machine.world import sweep

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class LiveMist:
    data_dir: Path
    env: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['MIST_PORT']}"

    @property
    def pid(self) -> int | None:
        return living_pid(self.data_dir / "mist.pid")

    def run(self, *words: str, check: bool = True, stdin: str = "") -> str:
        """`./mist` with these words; what it printed. Raises `AssertionError` when it fails and
        `check` is set."""
        done = self.result(*words, stdin=stdin)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def result(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def kill(self) -> None:
        """`kill -9` of Mist and what it started, but not of Traefik, which is on its own."""
        assert self.pid is not None
        process = psutil.Process(self.pid)
        for one in [process, *process.children(recursive=True)]:
            # A child may end by itself, or with its parent, before its turn comes.
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        process.wait(60)

    def visit(self, host: str, path: str = "/") -> tuple[int, str]:
        """What a visitor of an app gets through Traefik."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.env['MIST_HTTP_PORT']}{path}", headers={"Host": host}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def apps(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.run("apps", "--json"))
        return found


@contextmanager
def live_mist(folder: Path, **settings: str) -> Iterator[LiveMist]:
    """Up on free ports of 127.0.0.1; afterwards it is down, and nothing of it is in the engine."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MIST_", "DJANGO_"))}
    ports = zip(PORTS, map(str, free_ports(len(PORTS))), strict=True)
    env |= dict(ports) | {"MIST_DATA_DIR": str(folder), "MIST_BIND": "127.0.0.1"}
    # Nobody is there: a test that wants answers says whom to ask.
    env |= {"MIST_GIT_LOCALHOST": "true", "MIST_DNS_SERVERS": "127.0.0.1:9"}
    env |= {"MIST_WILDCARD_DNS": "off"} | settings
    mist = LiveMist(folder, env)
    try:
        yield mist
    finally:
        mist.run("down", "--proxy", check=False)
        if (folder / "instance").is_file():
            sweep((folder / "instance").read_text().strip())
