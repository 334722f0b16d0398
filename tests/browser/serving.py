"""Mist's pages in a process of their own, on the fake engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apps.engine.bench import free_ports
from tests.machine.live import ROOT

PASSWORD = "correct-horse-battery"
WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Pages:
    url: str
    data_dir: Path


@contextmanager
def serve_pages(
    folder: Path, *, filled: bool, engine: str = "tests.browser.filled", **settings: str
) -> Iterator[Pages]:
    """Serve on a free port of 127.0.0.1: what `fill` made, or a Mist that nobody has set up yet."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MIST_", "DJANGO_"))}
    env |= {
        "MIST_DATA_DIR": str(folder),
        "MIST_ENGINE": engine,
        "MIST_PORT": str(port),
        "MIST_BIND": "127.0.0.1",
        "MIST_HEALTH_TIMEOUT": "5",
        "MIST_DRAIN_SECONDS": "0",
        # Nobody is there: a test that wants answers says whom to ask.
        "MIST_DNS_SERVERS": "127.0.0.1:9",
        "MIST_WILDCARD_DNS": "off",
        **settings,
    }
    words = ["-m", "tests.browser.fill", *([] if filled else ["--empty"])]
    subprocess.run([sys.executable, *words], cwd=ROOT, env=env, check=True, timeout=600)
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
        try:
            pages = Pages(f"http://127.0.0.1:{port}", folder)
            _wait(pages, process)
            yield pages
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(pages: Pages, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{pages.url}/healthz/", timeout=10).close()
            return
        except OSError:  # a slow machine answers late, too
            alive = process.poll() is None and time.monotonic() < until
            assert alive, (pages.data_dir / "serve.log").read_text()
            time.sleep(0.1)
