"""What the machine under Mist must have, asked one by one, each answer a sentence."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from apps.engine import process
from apps.engine.build import find_buildkit
from apps.engine.data import EngineConfig
from apps.engine.errors import EngineError, HostProblem
from apps.engine.install import DAEMON_JSON
from apps.engine.machine_net import is_machines_address, machine_address

DISK_NEEDED = 1 * 1024**3
DISK_WANTED = 5 * 1024**3
SHARE_WANTED = 0.1
"""Of a disk, free."""
OLDEST_API = (1, 41)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    says: str
    hint: str = ""
    needed: bool = True
    """False for advice: Mist works without it."""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def check_python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check(
        "Python",
        sys.version_info >= (3, 11),
        f"Python {version}",
        "Mist needs Python 3.11 or newer.",
    )


def check_git() -> Check:
    path = shutil.which("git")
    return Check(
        "Git", path is not None, path or "git is not installed", "Install the package git."
    )


DATA_DIRECTORY = "Data directory"


def check_data_dir(folder: Path) -> Check:
    """Whether Mist can write there and has room."""
    writable = check_writable(folder)
    if not writable.ok:
        return writable
    usage = shutil.disk_usage(folder)
    # What root alone may use is nobody's.
    return check_room(DATA_DIRECTORY, folder, usage.free, usage.used + usage.free)


def check_writable(folder: Path) -> Check:
    """Whether Mist can write there at all."""
    name = DATA_DIRECTORY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"mist")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        full = error.errno == 28
        clean = "Make room: ./mist cleanup removes what nothing needs."
        hint = clean if full else "Run Mist as its owner, or set MIST_DATA_DIR."
        return Check(name, False, f"{folder} cannot be written: {reason}", hint)
    return Check(name, True, str(folder))


def check_engine_disk(find: Callable[[], Path]) -> Check:
    """Whether images and build cache have room. `find` asks the engine where it keeps them, raising
    `EngineError`; a folder of another machine, or of the engine's alone, cannot be looked at."""
    name = "Engine's disk"
    try:
        folder = find()
        usage = shutil.disk_usage(folder)
    except EngineError as error:
        return Check(name, False, "not known: the engine does not answer", error.hint, needed=False)
    except OSError:
        return Check(name, True, "cannot be looked at from here", needed=False)
    return check_room(name, folder, usage.free, usage.used + usage.free)


def check_room(name: str, folder: Path, free: int, total: int) -> Check:
    """Whether `free` of `total` bytes are enough to go on building."""
    says = f"{folder}, {free / 1024**3:.1f} GB free of {total / 1024**3:.1f} GB"
    clean = "Run ./mist cleanup --dry-run to see what can go, ./mist cleanup to remove it."
    if free < DISK_NEEDED:
        return Check(name, False, says, f"Mist needs 1 GB free to build and run apps. {clean}")
    if free < DISK_WANTED:
        return Check(name, False, says, f"Nearly full: 5 GB free are wise. {clean}", needed=False)
    if free < total * SHARE_WANTED:
        return Check(name, False, f"{says}: nearly full", clean, needed=False)
    return Check(name, True, says)


def check_port(port: int, setting: str, *, bind: str, pid_file: Path | None = None) -> Check:
    """Whether the port is free, or held by the process of `pid_file`, Mist's own."""
    name = f"Port {port}"
    if pid_file is not None and process.living_pid(pid_file) is not None:
        return Check(name, True, f"used by Mist ({setting})")
    try:
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((bind, port))
    except PermissionError:
        return Check(
            name,
            False,
            f"this user may not listen on port {port}",
            f"Run Mist as root, or set {setting} to a port above 1023.",
        )
    except OSError as error:
        holder = process.holder_of_port(port)
        says = f"taken by {holder}" if holder else f"not free ({error.strerror})"
        return Check(name, False, says, f"Stop that program, or set {setting} to another port.")
    except OverflowError:
        return Check(name, False, "no port", f"Set {setting} to a number from 1 to 65535.")
    return Check(name, True, f"free ({setting})")


def check_engine(version: Callable[[], tuple[str, str]]) -> Check:
    """`version` asks the engine for its version and API version, raising `EngineError`."""
    try:
        engine, api = version()
    except EngineError as error:
        return Check("Docker engine", False, error.sentence, error.hint)
    if tuple(int(part) for part in api.split(".")[:2]) < OLDEST_API:
        return Check(
            "Docker engine", False, f"Docker {engine} is too old", "Install Docker 20.10 or newer."
        )
    return Check("Docker engine", True, f"Docker {engine}, API {api}")


def check_buildkit() -> Check:
    client = find_buildkit()
    if client is None:
        return Check(
            "BuildKit",
            False,
            "no docker client with BuildKit, builds use the engine's classic builder",
            "Install docker-buildx.",
            needed=False,
        )
    return Check("BuildKit", True, client)


def check_live_restore(is_on: Callable[[], bool | None]) -> Check | None:
    """Advice: without it a restart of the engine's daemon restarts every app. `is_on` asks the
    engine; there is nothing to say where it does not answer, or where it is None."""
    try:
        answer = is_on()
    except EngineError:
        return None
    if answer is None:
        return None
    name = "Live restore"
    if answer:
        return Check(name, True, "on: apps keep running while the engine restarts", needed=False)
    hint = f'Add "live-restore": true to {DAEMON_JSON}, then run: systemctl reload docker'
    return Check(name, False, "off: apps stop while the engine restarts", hint, needed=False)


def check_memory() -> Check:
    free = psutil.virtual_memory().available
    enough = free > 256 * 1024**2
    says = f"{free / 1024**3:.1f} GB available"
    return Check("Memory", enough, says, "Builds and apps need memory: add some or a swap file.")


def check_proxy(running: bool, *, in_container: bool = False) -> Check:
    return Check(
        "Traefik",
        running,
        "running" if running else "not running, so no app answers",
        "Run docker compose up --detach." if in_container else "Run ./mist up.",
    )


def port_checks(config: EngineConfig, mist_port: int, bind: str) -> Iterator[Check]:
    """All ports that Mist and its proxy listen on."""
    if config.proxy_host:
        return  # the ports of a container are its own
    mist = config.data_dir / "mist.pid"
    traefik = config.data_dir / "traefik" / "traefik.pid"
    yield check_port(mist_port, "MIST_PORT", bind=bind, pid_file=mist)
    for port, setting, where in (
        (config.http_port, "MIST_HTTP_PORT", config.bind),
        (config.https_port, "MIST_HTTPS_PORT", config.bind),
        (config.probe_port, "MIST_PROBE_PORT", "127.0.0.1"),
        (config.proxy_api_port, "MIST_PROXY_API_PORT", "127.0.0.1"),
    ):
        yield check_port(port, setting, bind=where, pid_file=traefik)


def require(check: Check) -> None:
    """Raise `HostProblem` with the check's own words when it failed and is needed."""
    if check.needed and not check.ok:
        raise HostProblem(f"{check.name}: {check.says}.", hint=check.hint)


def own_address() -> str:
    """The address of this machine that others most likely reach, `localhost` when it has none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        # Nothing is sent: connecting a datagram socket only looks up the route.
        trial.connect(("192.0.2.1", 9))
        address = str(trial.getsockname()[0])
        # Nobody else reaches the address of a container that this may run in.
        return address if is_machines_address(address) else machine_address() or address
    return "localhost"
