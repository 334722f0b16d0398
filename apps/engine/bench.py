"""What `./mist bench` runs outside: Mist itself, and a deployment without Mist to compare with."""

from __future__ import annotations

import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from apps.engine.build import find_buildkit
from apps.engine.errors import HostProblem

PORTS = range(20_000, 32_768)
"""Below those that Linux gives by itself; a browser refuses none of them. Several who choose at
the same time, to use theirs later, choose from different parts of it."""


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody uses now, and that the kernel gives nobody by chance until
    they are used: neither to connections nor to who asks for any port."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            one = held.enter_context(socket.socket())
            with suppress(OSError):
                one.bind(("127.0.0.1", secrets.choice(PORTS)))
                found.append(int(one.getsockname()[1]))
    return found


def run_program(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    """The program's output. Raises `HostProblem` with its last lines when it fails."""
    done = subprocess.run(list(argv), env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostProblem(
            f"{Path(argv[0]).name} {' '.join(argv[1:3])} failed ({done.returncode}).",
            detail="\n".join((done.stdout + done.stderr).splitlines()[-10:]),
        )
    return done.stdout


def bare_deployment(url: str, ref: str) -> float:
    """Seconds of `git clone`, `docker build` and `docker run` of a repository, without Mist and
    with whatever the builder has cached. The container and the clone are gone afterwards."""
    docker = find_buildkit() or "docker"
    name = f"mist-bench-{time.monotonic_ns()}"
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "DOCKER_BUILDKIT": "1", "HOME": "/"}
    with tempfile.TemporaryDirectory(prefix="mist-bench-") as folder:
        began = time.monotonic()
        run_program(["git", "clone", "--quiet", "--branch", ref, "--", url, f"{folder}/a"], env=env)
        run_program([docker, "build", "--quiet", f"--tag={name}", f"{folder}/a"], env=env)
        run_program([docker, "run", "--detach", f"--name={name}", name], env=env)
        seconds = time.monotonic() - began
    run_program([docker, "rm", "--force", "--volumes", name], env=env)
    run_program([docker, "rmi", "--force", name], env=env)
    return seconds


def family(pid: int) -> list[psutil.Process]:
    """The process and everything below it."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def resident_mb(pid: int) -> float:
    """Resident memory of the process and its children, in MiB."""
    return sum(float(p.memory_info().rss) for p in family(pid)) / 1024**2


def cpu_seconds(pid: int) -> float:
    """Processor seconds that the process and its children have used so far."""
    return sum(sum(p.cpu_times()[:2]) for p in family(pid))
