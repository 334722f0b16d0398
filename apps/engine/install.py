"""Getting a Docker engine where there is none, and waking it where it sleeps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from apps.engine import process
from apps.engine.data import EngineConfig, LineSink
from apps.engine.errors import HostProblem

APT = ("debian", "ubuntu")
START_SECONDS = 60.0
DAEMON_JSON = Path("/etc/docker/daemon.json")


def ensure_engine(config: EngineConfig, *, answers: Callable[[], bool], log: LineSink) -> None:
    """Leave with an engine that `answers`, installed and started where that is possible here.

    Raises `HostProblem` that says what to do by hand. An engine that is somewhere else
    (`DOCKER_HOST`) is never touched.
    """
    if answers():
        return
    if config.proxy_host:
        raise HostProblem(
            "The Docker engine does not answer.",
            hint="Start it on the machine itself: a container cannot.",
        )
    if config.docker_host and config.docker_host != "unix:///var/run/docker.sock":
        raise HostProblem(
            f"The Docker engine at {config.docker_host} does not answer.",
            hint="Start it, or remove DOCKER_HOST to use the one on this machine.",
        )
    socket = Path("/var/run/docker.sock")
    if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
        raise HostProblem(
            "Mist may not use the Docker engine's socket.",
            hint="Run Mist as root, or add its user to the docker group and log in again.",
        )
    daemon = find_daemon()
    if daemon is None:
        install_engine(log)
        daemon = find_daemon()
    if daemon is None:
        raise HostProblem("Docker was installed, yet there is no dockerd.", hint="Install Docker.")
    if answers():
        return
    start_engine(config, daemon, answers=answers, log=log)


def find_daemon() -> str | None:
    """The path of dockerd; /usr/sbin is not on everybody's PATH."""
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


def install_engine(log: LineSink) -> None:
    """Install the distribution's own Docker, with live-restore on: apps keep running while the
    engine restarts. Raises `HostProblem`."""
    if os.geteuid() != 0 or not is_debian_like() or shutil.which("apt-get") is None:
        raise HostProblem(
            "Docker is not installed.",
            hint="Run ./mist up as root on Debian or Ubuntu and Mist installs it, or install "
            "Docker Engine 20.10 or newer yourself.",
        )
    log("Installing Docker Engine (docker.io)")
    set_live_restore(DAEMON_JSON, log)
    _apt("update", "-q")
    packages = ["docker.io", "iptables"]
    # A client with BuildKit: older releases have it built in, newer ones in a package of its own.
    # Without AppArmor's parser the engine starts no container where the kernel has AppArmor.
    more = ("apparmor", "docker-cli", "docker-buildx")
    packages += [name for name in more if apt_knows(name)]
    _apt("install", "-y", "-q", "--no-install-recommends", *packages)


def set_live_restore(path: Path, log: LineSink) -> None:
    """Add `live-restore` to the daemon's configuration. What is there already stays: every other
    setting, a choice that somebody made about this one, and a file that is not understood."""
    try:
        found = json.loads(path.read_text() or "{}")
    except FileNotFoundError:
        found = {}
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        log(f"{path} is not JSON that Mist understands: it is left as it is")
        return
    if "live-restore" in found:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.mist")
    fresh.write_text(json.dumps(found | {"live-restore": True}, indent=2) + "\n")
    if path.exists():
        shutil.copymode(path, fresh)
    fresh.replace(path)


def is_debian_like() -> bool:
    """Whether this is Debian, Ubuntu or one of their children."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return False
    words = [
        word
        for line in text.splitlines()
        if line.startswith(("ID=", "ID_LIKE="))
        for word in line.partition("=")[2].strip("\"'").split()
    ]
    return any(word in APT for word in words)


def _apt(*words: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise HostProblem(
            f"apt-get {words[0]} failed.",
            hint="Install Docker Engine 20.10 or newer by hand, then run ./mist up again.",
            detail="\n".join((done.stdout + done.stderr).splitlines()[-10:]),
        )


def apt_knows(package: str) -> bool:
    """Whether the machine's package sources have it."""
    done = subprocess.run(
        ["apt-cache", "policy", package], capture_output=True, text=True, check=False
    )
    return "Candidate:" in done.stdout and "Candidate: (none)" not in done.stdout


def start_engine(
    config: EngineConfig, daemon: str, *, answers: Callable[[], bool], log: LineSink
) -> None:
    """Start it by the service manager, or detached where there is none. Raises `HostProblem`."""
    if os.geteuid() != 0:
        raise HostProblem(
            "The Docker engine does not run.", hint="Start it: sudo systemctl start docker."
        )
    journal = config.data_dir / "dockerd.log"
    if Path("/run/systemd/system").is_dir() and shutil.which("systemctl"):
        log("Starting the Docker engine (systemctl)")
        subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)
        where = "journalctl -u docker"
    else:
        log("Starting the Docker engine (dockerd)")
        process.spawn_detached([daemon], log=journal, pid_file=config.data_dir / "dockerd.pid")
        where = str(journal)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if answers():
            return
        time.sleep(0.1)
    raise HostProblem("The Docker engine did not start.", hint=f"Its log is {where}.")
