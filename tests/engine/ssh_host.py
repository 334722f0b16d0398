"""A Git host over SSH for tests: a real sshd on a port of its own, which lets deploy keys in."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apps.engine.deploy_keys import DeployKey, new_deploy_key
from apps.engine.known_hosts import HostKey
from tests.engine.git_host import Origin, git
from tests.machine.world import wait_until

SSHD = "/usr/sbin/sshd"
_CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {root}/host_key
PidFile none
AuthorizedKeysFile {root}/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
LogLevel VERBOSE
SetEnv PATH={root}/bin:{path}
"""


@dataclass
class SshHost:
    root: Path
    port: int
    keys: list[str] = field(default_factory=list)
    """Public halves of what gets in."""
    process: subprocess.Popen[bytes] | None = None

    def create(self, name: str) -> Origin:
        path = self.root / name
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--initial-branch=main")
        return Origin(path, f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}")

    def admit(self) -> DeployKey:
        """A new key that gets in."""
        key = new_deploy_key("app")
        self.admit_public(key.public)
        return key

    def admit_public(self, key: str) -> None:
        """Whoever has the private half of this gets in, too."""
        self.keys.append(key)
        (self.root / "authorized_keys").write_text("".join(f"{one}\n" for one in self.keys))

    def command(self, name: str, script: str) -> None:
        """Something that this server's users may run."""
        file = self.root / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    @property
    def host_key(self) -> HostKey:
        kind, key = (self.root / "host_key.pub").read_text().split()[:2]
        return HostKey("127.0.0.1", self.port, kind, key)

    @property
    def log(self) -> str:
        file = self.root / "log"
        return file.read_text() if file.exists() else ""

    def start(self) -> None:
        """With a new host key each time."""
        key = new_deploy_key("host")
        (self.root / "host_key").unlink(missing_ok=True)
        handle = os.open(self.root / "host_key", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key.private)
        (self.root / "host_key.pub").write_text(f"{key.public}\n")
        (self.root / "authorized_keys").touch()
        config = self.root / "sshd_config"
        config.write_text(_CONFIG.format(root=self.root, port=self.port, path=os.environ["PATH"]))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        started = self.log.count("Server listening")
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
        wait_until(lambda: self.log.count("Server listening") > started, "sshd listens")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def serve_ssh(root: Path) -> Iterator[SshHost]:
    """sshd for this machine's user alone, with repositories below `root`."""
    root.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    host = SshHost(root, port)
    host.start()
    try:
        yield host
    finally:
        host.stop()


def has_sshd() -> bool:
    return shutil.which(SSHD) is not None
