"""Detached processes that outlive Mist, known by a pid file and checked to be the right one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def spawn_detached(
    argv: Sequence[str],
    *,
    log: Path,
    pid_file: Path,
    env: Mapping[str, str] | None = None,
) -> int:
    """Start a program in a session of its own, its output appended to `log`; returns its pid.

    Raises `OSError` when the program or the log cannot be opened.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
            cwd="/",
            env=None if env is None else dict(env),
        )
    remember(pid_file, process.pid)
    return process.pid


def remember(pid_file: Path, pid: int) -> None:
    """Write the pid with the moment its process began: pids are used again, that pair is not."""
    temporary = pid_file.with_name(f".{pid_file.name}.new")
    temporary.write_text(json.dumps({"pid": pid, "began": _began(pid)}))
    os.replace(temporary, pid_file)


def living_pid(pid_file: Path) -> int | None:
    """The pid in the file if that very process still lives."""
    try:
        known = json.loads(pid_file.read_text())
        process = psutil.Process(int(known["pid"]))
        if "began" in known:
            same = _began(process.pid) == known["began"]
        else:
            # Written before pid files told it by the kernel's own count.
            same = abs(process.create_time() - float(known["started"])) < 1.0
        alive = process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return process.pid if same and alive else None


def _began(pid: int) -> str:
    """Which boot of the machine and which tick of it: a clock that is set right while the process
    runs, as after a start without network, changes neither. See proc_pid_stat(5), `starttime`."""
    # The name of the program, in parentheses, may hold anything.
    ticks = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    return f"{BOOT_ID.read_text().strip()} {ticks}"


def end_process(pid_file: Path, *, timeout: float = 10.0) -> bool:
    """SIGTERM, then SIGKILL after `timeout` seconds. False when there was none."""
    pid = living_pid(pid_file)
    if pid is None:
        pid_file.unlink(missing_ok=True)
        return False
    for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        until = time.monotonic() + patience
        while time.monotonic() < until and living_pid(pid_file) is not None:
            _reap(pid)
            time.sleep(0.02)
        if living_pid(pid_file) is None:
            break
    pid_file.unlink(missing_ok=True)
    return True


def _reap(pid: int) -> None:
    """Take the exit status if the process is our own child, so that it is no zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def holder_of_port(port: int, *, protocol: str = "tcp") -> str:
    """Name and pid of the program that listens on a port (`tcp` or `udp`), empty when nobody may
    know."""
    try:
        for connection in psutil.net_connections(kind=protocol):
            listens = connection.status == psutil.CONN_LISTEN or protocol == "udp"
            if listens and not connection.raddr and connection.laddr[1:] == (port,):
                if connection.pid is None:
                    return ""
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""


def who_holds(port: int, *, protocol: str, address: str) -> str:
    """Who keeps others from listening on a port of that address (empty for all addresses), in
    words; empty when the port is free."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(socket.AF_INET, kind) as trial:
            if kind is socket.SOCK_STREAM:
                # A connection that has just ended holds nothing. With UDP it would mean to share.
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address, port))
    except PermissionError:
        # This user may not try it, the engine may.
        return holder_of_port(port, protocol=protocol)
    except OSError:
        return holder_of_port(port, protocol=protocol) or "another program"
    return ""
