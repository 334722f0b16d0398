"""A Mist of a developer's command: its own data directory, free ports, gone afterwards."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping

from django.conf import settings

from apps.engine.bench import free_ports, run_program

PORTS = (
    "MIST_PORT",
    "MIST_HTTP_PORT",
    "MIST_HTTPS_PORT",
    "MIST_PROBE_PORT",
    "MIST_PROXY_API_PORT",
)


def begin_anew(what: str, more: Mapping[str, str]) -> None:
    """Run this command again, with `--here`, as a process whose settings point to an instance of
    its own. Does not return."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MIST_")}
    env |= {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    env |= {"MIST_DATA_DIR": tempfile.mkdtemp(prefix=f"mist-{what}-"), "MIST_BIND": "127.0.0.1"}
    env["MIST_GIT_LOCALHOST"] = "true"  # Where its repositories are.
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.argv, "--here"], env | dict(more))


def run_mist(*words: str) -> str:
    """`./mist` with these words, for the instance; its output. Raises `HostProblem`."""
    return run_program([sys.executable, str(settings.BASE_DIR / "manage.py"), *words])
