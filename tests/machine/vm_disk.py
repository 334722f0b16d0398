"""The disk of a small Debian machine that has what Mist needs, for tests that switch it off.

It is made once, of packages, like the base images: kernel, systemd, the Docker engine, Python with
Mist's packages, and a Git host on a port of 127.0.0.1. Mist's own code is not on it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

import docker

from apps.engine.errors import HostProblem

ROOT = Path(__file__).resolve().parents[2]
VM_IMAGE = "mist-tests/vm:1"
HOME = "/opt/mist"
"""Where Mist is in the machine. A virtual environment works only where it was made."""
GIT_URL = "http://127.0.0.1:9000/cgi-bin/git"
GIT_ROOT = "/srv/git"
_SIZE = "8G"
_KEPT_SECONDS = 7 * 24 * 3600
_BROUGHT = ("mist", "requirements.txt")
_PACKAGES = (
    "linux-image-cloud-amd64 systemd systemd-sysv dbus udev iproute2 docker.io apparmor iptables "
    "git openssh-server busybox-static python3 python3-venv"
)
# Two drivers reach the disk. All that there are would take half a minute to unpack where every
# instruction is translated.
_DOCKERFILE = f"""\
FROM debian:bookworm-slim
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q \\
 && apt-get install -y -q --no-install-recommends initramfs-tools \\
 && printf 'virtio_pci\\nvirtio_blk\\n' >>/etc/initramfs-tools/modules \\
 && sed -i 's/^MODULES=.*/MODULES=list/' /etc/initramfs-tools/initramfs.conf \\
 && apt-get install -y -q --no-install-recommends {_PACKAGES} \\
 && rm -rf /var/lib/apt/lists/*
WORKDIR {HOME}
COPY mist requirements.txt ./
RUN PIP_CERT=/etc/ssl/certs/ca-certificates.crt ./mist install
COPY etc /etc
COPY cgi-bin /srv/www/cgi-bin
RUN passwd -d root \\
 && systemctl enable systemd-networkd systemd-networkd-wait-online git-host \\
 && systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \\
      e2scrub_all.timer e2scrub_reap.service fstrim.timer
"""
# The engine as Mist installs it has live-restore. Only this machine reaches the VM, at 127.0.0.1.
_FILES = {
    "etc/docker/daemon.json": '{"live-restore": true}\n',
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/machine-id": "",
    "etc/ssh/sshd_config.d/vm.conf": "PermitRootLogin yes\nPermitEmptyPasswords yes\nUseDNS no\n",
    "etc/systemd/network/vm.network": """\
[Match]
Name=en*
[Network]
DHCP=ipv4
""",
    "etc/systemd/system/git-host.service": """\
[Service]
ExecStart=/bin/busybox httpd -f -p 127.0.0.1:9000 -h /srv/www
[Install]
WantedBy=multi-user.target
""",
    "cgi-bin/git": f"""\
#!/bin/sh
export GIT_PROJECT_ROOT={GIT_ROOT} GIT_HTTP_EXPORT_ALL=1 GIT_PROTOCOL="$HTTP_GIT_PROTOCOL"
exec git http-backend
""",
}
# A container's own; Docker writes them when it starts one, so no build can.
_NAMES = {
    "etc/hostname": "mist-vm\n",
    "etc/hosts": "127.0.0.1 localhost mist-vm\n",
    "etc/resolv.conf": "",
}


@dataclass(frozen=True)
class VmDisk:
    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.folder / "kernel"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"


def vm_disk(cache: Path) -> VmDisk:
    """Where the disk of this recipe and these requirements is, or will be."""
    parts = [_DOCKERFILE, str(_FILES), str(_NAMES), _SIZE]
    parts += [(ROOT / name).read_text() for name in _BROUGHT]
    return VmDisk(cache / "vm" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16])


def make_vm_disk(client: docker.DockerClient, *, cache: Path) -> None:
    """Make it unless it is there. What no checkout has used for a week goes. Raises
    `HostProblem`."""
    made = vm_disk(cache)
    made.folder.parent.mkdir(exist_ok=True)
    for other in made.folder.parent.iterdir():
        if other != made.folder and time.time() - other.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(other)
    if made.folder.is_dir():
        os.utime(made.folder)
        return
    if platform.machine() != "x86_64":
        print("No virtual machine on this kind of processor: the test that reboots one will fail")
        return
    print("Making a disk for a virtual machine (two minutes)")
    _build(client)
    with tempfile.TemporaryDirectory(dir=made.folder.parent) as name:
        fresh, root = VmDisk(Path(name) / "fresh"), Path(name) / "root"
        fresh.folder.mkdir()
        _unpack(client, root)
        for boot, target in (("vmlinuz", fresh.kernel), ("initrd.img", fresh.initrd)):
            shutil.copy(next((root / "boot").glob(f"{boot}-*")), target)
        _run(["truncate", f"--size={_SIZE}", str(fresh.disk)])
        _run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(fresh.disk)])
        fresh.folder.rename(made.folder)


def _build(client: docker.DockerClient) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in (_FILES | {"Dockerfile": _DOCKERFILE}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        (folder / "cgi-bin" / "git").chmod(0o755)
        for brought in _BROUGHT:
            shutil.copy(ROOT / brought, folder / brought)
        client.images.build(path=name, tag=VM_IMAGE, rm=True, forcerm=True)


def _unpack(client: docker.DockerClient, root: Path) -> None:
    root.mkdir()
    with _container(client) as made, tempfile.NamedTemporaryFile(dir=root.parent) as archive:
        for chunk in client.api.export(made):
            archive.write(chunk)
        archive.flush()
        _run(["tar", "--extract", f"--file={archive.name}", f"--directory={root}"])
    (root / ".dockerenv").unlink(missing_ok=True)
    for path, text in _NAMES.items():
        (root / path).write_text(text)


@contextmanager
def _container(client: docker.DockerClient) -> Iterator[str]:
    made = client.api.create_container(VM_IMAGE, "true")["Id"]
    try:
        yield made
    finally:
        client.api.remove_container(made)


def pack_code(target: Path, *more: Path) -> None:
    """Write a tar of Mist as it is in this checkout, and of these files beside it."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = [Path(name) for name in _run(words).split("\0") if name]
    with tarfile.open(target, "w") as tar:
        for name in [*names, Path("static/mist.css")]:
            if name.parts[0] in ("docs", "tests"):
                continue
            # What this Python has compiled, the machine's need not compile again.
            for one in (name, Path(cache_from_source(str(name)))):
                if (ROOT / one).is_file():
                    tar.add(ROOT / one, arcname=str(one), recursive=False)
        for file in more:
            tar.add(file, arcname=file.name)


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise HostProblem(f"{argv[0]} {argv[1]} failed.", detail=last)
    return done.stdout
