"""Bring what tests with real parts need: packages, an engine, base images.

    python -m tests.machine.provision

Everything that is there already is left as it is. Needs root on Debian or Ubuntu. There is no image
registry here, so base images are made of packages and kept: the engine holds them, and the slow
one lies as a tar in `$XDG_CACHE_HOME/mist-tests`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from apps.engine.base_image import ensure_sample_base
from apps.engine.data import EngineConfig
from apps.engine.deadline import Deadline
from apps.engine.docker import DockerContainers
from apps.engine.errors import EngineError, HostProblem
from apps.engine.install import apt_knows, ensure_engine, is_debian_like
from tests.machine.kept import cache
from tests.machine.octokit import ensure_examples
from tests.machine.split_parts import make_split_parts
from tests.machine.vm_disk import make_vm_disk

PACKAGES = {
    # what apt calls it: a file that shows it is there
    "iptables": "/usr/sbin/iptables",
    "git": "/usr/bin/git",
    "gcc": "/usr/bin/cc",
    "libc6-dev": "/usr/include/stdio.h",
    "chromium": "/usr/bin/chromium",
    "fonts-liberation": "/usr/share/fonts/truetype/liberation",
    "debootstrap": "/usr/sbin/debootstrap",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "systemd": "/usr/bin/systemd-analyze",
    # /bin/busybox may be another package's, linked to libraries that the image lacks.
    "busybox-static": "/usr/share/doc/busybox-static",
    "redis-server": "/usr/bin/redis-server",
    "openssh-server": "/usr/sbin/sshd",
    "npm": "/usr/bin/npm",
    "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
    "qemu-utils": "/usr/bin/qemu-img",
    "e2fsprogs": "/usr/sbin/mke2fs",
    "openssh-client": "/usr/bin/ssh",
    "docker-registry": "/usr/bin/docker-registry",
    "pebble": "/usr/bin/pebble",
}
MINBASE = "debian:bookworm-slim"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_APT = (
    "apt-get update -q && apt-get install -y -q --no-install-recommends {} "
    "&& rm -rf /var/lib/apt/lists/*"
)
DERIVED = {
    "python:3.11-slim": [
        "RUN " + _APT.format("python3 python3-pip python3-venv"),
        "RUN ln -s /usr/bin/python3 /usr/local/bin/python",
        "RUN ln -s /usr/bin/pip3 /usr/local/bin/pip && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED",
        f"ENV PIP_CERT={CERTIFICATES} PIP_ROOT_USER_ACTION=ignore",
        'CMD ["python"]',
    ],
    "node:20-slim": ["RUN " + _APT.format("nodejs"), 'CMD ["node"]'],
}


def provision() -> None:
    """All of it. Raises `HostProblem` that says what is missing."""
    if os.geteuid() != 0 or not is_debian_like():
        raise HostProblem(
            "Tests with a real engine need root on Debian or Ubuntu.",
            hint='Run ./mist test -m "not docker and not browser" elsewhere.',
        )
    _install_packages()
    ensure_examples()
    _start_engine()
    client = docker.from_env()
    _make_busybox(client)
    _make_minbase(client)
    for name, steps in DERIVED.items():
        _derive(client, name, steps)
    make_split_parts(client, cache=cache(), mirror=_debian_mirror())
    make_vm_disk(client, cache=cache())
    ensure_sample_base(log=print, deadline=Deadline(300, what="Making the sample's base image"))


def _install_packages() -> None:
    missing = [name for name, path in PACKAGES.items() if not Path(path).exists()]
    if not missing:
        return
    print(f"Installing {' '.join(missing)}")
    _run(["apt-get", "update", "-q"])
    for name in [name for name in missing if not apt_knows(name)]:
        # Ubuntu has Chromium as a snap only.
        print(f"No package {name} here: tests that need {PACKAGES[name]} will fail")
        missing.remove(name)
    _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing])


def _start_engine() -> None:
    config = EngineConfig(instance="provision", data_dir=cache())
    containers = DockerContainers(config)

    def answers() -> bool:
        try:
            containers.info()
        except EngineError:
            return False
        return True

    ensure_engine(config, answers=answers, log=print)


def _make_busybox(client: docker.DockerClient) -> None:
    if _exists(client, "busybox:latest"):
        return
    print("Making busybox:latest")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        (root / "bin").mkdir(parents=True)
        (root / "tmp").mkdir(mode=0o1777)
        shutil.copy("/bin/busybox", root / "bin" / "busybox")
        listed = subprocess.run(
            ["/bin/busybox", "--list"], capture_output=True, text=True, check=True
        )
        for applet in listed.stdout.split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        _import(client, root, "busybox:latest")


def _make_minbase(client: docker.DockerClient) -> None:
    if _exists(client, MINBASE):
        return
    kept = cache() / "minbase-bookworm.tar"
    if not kept.is_file():
        print("Bootstrapping Debian (a minute)")
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "root"
            _run(
                [
                    *("debootstrap", "--variant=minbase", "--include=ca-certificates"),
                    *("bookworm", str(root), *_mirror()),
                ]
            )
            # Whatever this machine trusts, builds trust: its mirrors may have a certificate of
            # their own.
            shutil.copy(CERTIFICATES, root / CERTIFICATES.lstrip("/"))
            shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)
            _pack(root, kept)
    print(f"Making {MINBASE}")
    repository, _, tag = MINBASE.partition(":")
    client.api.import_image_from_file(str(kept), repository=repository, tag=tag)


def _derive(client: docker.DockerClient, name: str, steps: Sequence[str]) -> None:
    if _exists(client, name):
        return
    print(f"Making {name}")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text("\n".join([f"FROM {MINBASE}", *steps]) + "\n")
        client.images.build(path=folder, tag=name, rm=True, forcerm=True)


def _debian_mirror() -> str:
    return next(iter(_mirror()), "http://deb.debian.org/debian")


def _mirror() -> list[str]:
    """The mirror that this machine's apt uses; none for debootstrap's own choice."""
    listed = _run(["apt-cache", "policy"])
    return re.findall(r"\d+ (https?://\S+) bookworm/main", listed)[:1]


def _import(client: docker.DockerClient, root: Path, name: str) -> None:
    archive = root.parent / "image.tar"
    _pack(root, archive)
    repository, _, tag = name.partition(":")
    client.api.import_image_from_file(str(archive), repository=repository, tag=tag)


def _pack(root: Path, target: Path) -> None:
    fresh = target.with_suffix(".new")
    _run(["tar", "--create", f"--file={fresh}", f"--directory={root}", "."])
    fresh.replace(target)


def _exists(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _run(argv: Sequence[str]) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(list(argv), env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise HostProblem(f"{argv[0]} {argv[1]} failed.", detail=last)
    return done.stdout


if __name__ == "__main__":
    try:
        provision()
    except HostProblem as problem:
        sys.exit(f"{problem.sentence}\n{problem.hint}\n{problem.detail}".strip())
    except DockerException as problem:
        sys.exit(f"The Docker engine failed: {problem}")
