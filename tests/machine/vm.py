"""A machine that can be rebooted and lose its power: Debian in QEMU, with nothing of this one's."""

from __future__ import annotations

import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker

from apps.engine.bench import free_ports
from tests.machine.kept import cache
from tests.machine.vm_disk import HOME, VmDisk, pack_code, vm_disk
from tests.machine.world import wait_until

MEMORY_MB = 1536
_SSH = [
    *("ssh", "-q", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"),
    *("-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10", "-F", "none"),
]
PATIENCE = 600.0
"""Seconds for what takes some where the processor runs the machine itself, and ten times as many
where QEMU translates every instruction of it."""


@dataclass
class VirtualMachine:
    made: VmDisk
    folder: Path
    ssh_port: int
    pages_port: int
    visitors_port: int
    _qemu: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def power_on(self, *, hours_behind: int = 0) -> None:
        """Start it, with a clock that is so late. Returns at once: `wait_for_boot` waits."""
        clock = datetime.now(UTC) - timedelta(hours=hours_behind)
        command = [*self._command(), "-rtc", f"base={clock:%Y-%m-%dT%H:%M:%S}"]
        with (self.folder / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(command, stdout=log, stderr=log)

    def cut_power(self) -> None:
        """It is off, in the middle of whatever it did: its memory is lost, no file is closed."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None

    def boot_id(self) -> str:
        """Another one after every boot; empty while it cannot be asked."""
        done = self._ssh("cat /proc/sys/kernel/random/boot_id", 30)
        return done.stdout.strip() if done.returncode == 0 else ""

    def wait_for_boot(self, before: str = "") -> str:
        """Return the boot's id once the machine can be asked, and it is another one."""
        known = ""

        def is_new() -> bool:
            nonlocal known
            self._require_power()
            known = self.boot_id()
            return known not in ("", before)

        wait_until(is_new, "the machine's start", PATIENCE)
        return known

    def run(self, command: str, timeout: float = PATIENCE) -> str:
        """A line of shell as root; what it printed. Raises `AssertionError` when it fails."""
        done = self._ssh(command, timeout)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.console()}"
        return done.stdout

    def mist(self, *words: str) -> str:
        """`./mist` with these words."""
        return self.run(f"cd {HOME} && ./mist {shlex.join(words)}")

    def answer(self, port: int, host: str, path: str = "/") -> tuple[int, str]:
        """What one who asks from outside gets; the status is 0 when nobody answers."""
        url = f"http://127.0.0.1:{port}{path}"
        try:
            request = urllib.request.Request(url, headers={"Host": host})
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    def console(self) -> str:
        """The last that it said on its console."""
        text = (self.folder / "console.log").read_text(errors="replace")
        return "\n" + "\n".join(text.splitlines()[-20:])

    def _require_power(self) -> None:
        if self._qemu is None or self._qemu.poll() is not None:
            code = None if self._qemu is None else self._qemu.returncode
            raise AssertionError(f"{code}: {(self.folder / 'qemu.log').read_text()}")

    def _ssh(self, command: str, timeout: float) -> subprocess.CompletedProcess[str]:
        argv = [*_SSH, "-p", str(self.ssh_port), "root@127.0.0.1", command]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{command} took {timeout} s{self.console()}") from error

    def _command(self) -> list[str]:
        ports = ((self.ssh_port, 22), (self.pages_port, 8080), (self.visitors_port, 80))
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in ports)
        disk = f"file={self.folder}/disk.qcow2,if=virtio,cache=unsafe"
        code = f"file={self.folder}/code.tar,format=raw,if=virtio,readonly=on"
        return [
            *("qemu-system-x86_64", "-machine", "q35", *_processor(), "-m", str(MEMORY_MB)),
            *("-smp", "2", "-display", "none", "-monitor", "none"),
            *("-chardev", f"file,id=console,path={self.folder}/console.log,append=on"),
            *("-serial", "chardev:console"),
            *("-kernel", str(self.made.kernel), "-initrd", str(self.made.initrd)),
            *("-append", "root=/dev/vda rw console=ttyS0 mitigations=off"),
            *("-drive", disk, "-drive", code, "-device", "virtio-rng-pci"),
            # Nothing outside can be reached from it.
            *("-netdev", f"user,id=net,restrict=on,{forwards}"),
            *("-device", "virtio-net-pci,netdev=net"),
        ]


def _processor() -> list[str]:
    """The machine's own where it can; /dev/kvm alone does not say so."""
    flags = Path("/proc/cpuinfo").read_text().split()
    if ("vmx" in flags or "svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    # Page tables of five levels would make every translated memory access slower.
    return ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off"]


@contextmanager
def virtual_machine(folder: Path) -> Iterator[VirtualMachine]:
    """Switched on, with this checkout at `HOME` and busybox in its engine; off and gone
    afterwards."""
    made = vm_disk(cache())
    assert made.folder.is_dir(), "python -m tests.machine.provision makes the disk"
    over = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(made.disk)]
    subprocess.run([*over, str(folder / "disk.qcow2")], check=True, capture_output=True)
    _save_image("busybox:latest", folder / "busybox.tar")
    pack_code(folder / "code.tar", folder / "busybox.tar")
    vm = VirtualMachine(made, folder, *free_ports(3))
    try:
        vm.power_on()
        vm.wait_for_boot()
        vm.run(f"tar --extract --file=/dev/vdb --directory={HOME}")
        vm.run(f"docker load --quiet --input {HOME}/busybox.tar && rm {HOME}/busybox.tar")
        yield vm
    finally:
        vm.cut_power()
        # pytest keeps folders of some runs; what the console said is enough.
        for name in ("disk.qcow2", "code.tar", "busybox.tar"):
            (folder / name).unlink(missing_ok=True)


def _save_image(name: str, target: Path) -> None:
    client = docker.from_env()
    try:
        with target.open("wb") as file:
            # By this name, whatever other names the image has here.
            for chunk in client.api.get_image(name):
                file.write(chunk)
    finally:
        client.close()
