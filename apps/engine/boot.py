"""Starting Mist together with the machine, as a service of systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from apps.engine.errors import HostProblem
from apps.engine.host import Check

UNIT = "mist.service"
UNIT_FILE = Path("/etc/systemd/system") / UNIT
SYSTEMD = Path("/run/systemd/system")
"""There is systemd where this folder is: sd_booted(3)."""

_TEMPLATE = """\
# Written by `mist boot on`; `mist boot off` removes it.
[Unit]
Description=Mist: apps from Git repositories
After=network-online.target docker.service
Wants=network-online.target docker.service
# Nobody may be there to start it: it is tried again for as long as it takes.
StartLimitIntervalSec=0

[Service]
Environment={environment}
ExecStart={program} up
Restart=on-failure
RestartSec=2
TimeoutStopSec=20
# Traefik goes on while Mist is stopped, restarted or upgraded: apps keep serving.
KillMode=process

[Install]
WantedBy=multi-user.target
"""


def unit_text(*, program: Path, data_dir: Path) -> str:
    """The unit that runs `program up` (a path of the script `mist`) for that data directory."""
    return _TEMPLATE.format(
        environment=_quoted(f"MIST_DATA_DIR={data_dir}"), program=_quoted(str(program))
    )


def start_at_boot(*, program: Path, data_dir: Path) -> None:
    """Let systemd start Mist now and whenever the machine starts. Raises `HostProblem`."""
    _require_systemd()
    text = unit_text(program=program, data_dir=data_dir)
    if UNIT_FILE.exists() and _quoted(f"MIST_DATA_DIR={data_dir}") not in UNIT_FILE.read_text():
        raise HostProblem(
            f"{UNIT_FILE} starts another Mist, with another data directory.",
            hint="Run `mist boot off` there first: one of them can start with the machine.",
        )
    UNIT_FILE.write_text(text)
    _systemctl("daemon-reload")
    _systemctl("enable", UNIT)
    _systemctl("restart", UNIT)


def forget_boot() -> bool:
    """Mist does not start with the machine any more, and its service is stopped. False when it
    never did. Raises `HostProblem`."""
    if not UNIT_FILE.exists():
        return False
    _require_systemd()
    _systemctl("disable", "--now", UNIT)
    UNIT_FILE.unlink()
    _systemctl("daemon-reload")
    return True


def stop_service(data_dir: Path) -> bool:
    """Stop the service until the machine starts again. False where there is none, or where it is
    another Mist's. Raises `HostProblem`."""
    if not serves_at_boot(data_dir) or not SYSTEMD.is_dir():
        return False
    _systemctl("stop", UNIT)
    return True


def serves_at_boot(data_dir: Path) -> bool:
    """Whether the Mist of that data directory starts with the machine."""
    try:
        return _quoted(f"MIST_DATA_DIR={data_dir}") in UNIT_FILE.read_text()
    except OSError:
        return False


def check_boot(data_dir: Path) -> Check:
    """Advice: without it a person has to start Mist after the machine restarts."""
    name = "Start with the machine"
    if serves_at_boot(data_dir):
        return Check(name, True, "Mist starts when the machine does", needed=False)
    hint = "Run ./mist boot on, as root."
    if not SYSTEMD.is_dir():
        hint = "There is no systemd here: let the machine run `mist up --detach` when it starts."
    says = "after a restart of the machine apps are back, and Mist has to be started by hand"
    return Check(name, False, says, hint, needed=False)


def _require_systemd() -> None:
    if not SYSTEMD.is_dir() or shutil.which("systemctl") is None:
        raise HostProblem(
            "This machine does not run systemd.",
            hint="Let it run `mist up --detach` when it starts, in whatever way it has for that.",
        )
    if not os.access(UNIT_FILE.parent, os.W_OK):
        raise HostProblem("Only root may change what starts with the machine.", hint="Use sudo.")


def _systemctl(*words: str) -> None:
    command: Sequence[str] = ("systemctl", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    if done.returncode != 0:
        raise HostProblem(
            f"{' '.join(command)} failed.",
            hint=f"See journalctl -u {UNIT}.",
            detail="\n".join((done.stdout + done.stderr).splitlines()[-10:]),
        )


def _quoted(word: str) -> str:
    """As systemd.syntax(7) and systemd.unit(5) read it: in quotes, `%` doubled. Nothing here is a
    word in which systemd replaces variables."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'
