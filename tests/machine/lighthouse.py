"""Google Lighthouse against a running Mist, for `./mist bench --only lighthouse`.

    LIGHTHOUSE_COOKIE=name=value python -m tests.machine.lighthouse URL PATH…

Prints JSON: path → theme → category → score of 100, with the audits that lost points. Lighthouse
comes from npm, is kept in `$XDG_CACHE_HOME/mist-tests/lighthouse` and drives Debian's Chromium.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

from apps.engine.bench import free_ports

VERSION = "12.8.2"
"""The last that runs on Node 20."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")


def measure(url: str, cookie: str, paths: list[str]) -> dict[str, dict[str, Any]]:
    """Scores of every path in both themes, for the person whose session cookie (`name=value`) is
    given. Raises `subprocess.CalledProcessError` when npm or Lighthouse fails."""
    program = _install()
    host = urlsplit(url).hostname or "127.0.0.1"
    name, _, value = cookie.partition("=")
    found: dict[str, dict[str, Any]] = {path: {} for path in paths}
    [port] = free_ports(1)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            args=[*FLAGS, f"--remote-debugging-port={port}"],
        )
        for theme in ("light", "dark"):
            context.add_cookies(
                [
                    {"name": name, "value": value, "domain": host, "path": "/"},
                    {"name": "mist_theme", "value": theme, "domain": host, "path": "/"},
                ]
            )
            for path in paths:
                found[path][theme] = _scores(program, url + path, port)
        context.close()
    return found


def _scores(program: Path, url: str, port: int) -> dict[str, Any]:
    words = [str(program), url, f"--port={port}", "--quiet", "--output=json", "--preset=desktop"]
    # The session's cookie is in the browser's profile and has to stay there.
    words += ["--disable-storage-reset", f"--only-categories={','.join(CATEGORIES)}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=180)
    report = json.loads(done.stdout)
    scores: dict[str, Any] = {
        key: round(100 * report["categories"][key]["score"]) for key in CATEGORIES
    }
    lost = sorted(
        {
            ref["id"]
            for category in report["categories"].values()
            for ref in category["auditRefs"]
            if ref["weight"]
            and (report["audits"][ref["id"]]["score"] or 0) < 0.9
            and report["audits"][ref["id"]]["score"] is not None
        }
    )
    return scores | ({"lost": lost} if lost else {})


def _install() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "mist-tests" / "lighthouse"
    program = folder / "node_modules" / ".bin" / "lighthouse"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--prefix", str(folder), f"lighthouse@{VERSION}"],
            env=os.environ | {"PUPPETEER_SKIP_DOWNLOAD": "1"},
            capture_output=True,
            check=True,
        )
    return program


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], os.environ["LIGHTHOUSE_COOKIE"], sys.argv[2:])))
