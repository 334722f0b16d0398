"""A control group that bounds what all builds together may eat, so none freezes the host.

The engine puts a build below the group that `--cgroup-parent` names. Mist makes that group and
writes its limits: as files below /sys/fs/cgroup where the engine's driver is `cgroupfs`, as a
slice of systemd's where it is `systemd`. BuildKit inside engines before 23 does not listen to that
option (seen with 20.10): all its builds run below `docker/buildkit`, which gets the same limits.
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from apps.engine.client import connect, guard
from apps.engine.data import EngineConfig

logger = logging.getLogger("mist.engine")
ROOT = Path("/sys/fs/cgroup")
UNITS = Path("/run/systemd/system")
PERIOD = 100_000
"""Microseconds over which the kernel counts processor time."""
OLD_BUILDKIT = "docker/buildkit"
LISTENS_FROM = 23
MEMORY_SHARE = 0.75
CPU_LEFT = 0.5
"""Processors that builds leave to the rest of the host unless a setting says otherwise."""


@dataclass(frozen=True)
class BuildLimits:
    memory_bytes: int
    cpus: float


def limits_of(config: EngineConfig) -> BuildLimits:
    """The settings, else three quarters of the memory and all but half a processor."""
    total = psutil.virtual_memory().total
    cores = psutil.cpu_count() or 1
    return BuildLimits(
        memory_bytes=config.build_memory_mb * 1024**2 or int(total * MEMORY_SHARE),
        cpus=config.build_cpus or max(0.5, cores - CPU_LEFT),
    )


def build_group(config: EngineConfig) -> str:
    """What to give `--cgroup-parent`: a group whose limits hold now. Empty where Mist cannot make
    one: it is not root, or the engine runs on another machine or as another user.

    A group of the operator's own (`MIST_BUILD_CGROUP`) is taken as it is.
    """
    if config.build_cgroup:
        return config.build_cgroup
    is_here = not config.docker_host or config.docker_host.startswith("unix://")
    if os.geteuid() != 0 or not is_here:
        return ""
    try:
        driver, major = _engine(config.docker_host)
        return _make(driver, major, config.instance, limits_of(config))
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("Builds are not bounded: %s", error)
        return ""


def _make(driver: str, major: int, instance: str, limits: BuildLimits) -> str:
    if driver == "systemd":
        return make_slice(f"mist-build-{instance}.slice", limits)
    if major < LISTENS_FROM:
        make_group(ROOT, OLD_BUILDKIT, limits)
    return make_group(ROOT, f"mist-build-{instance}", limits)


@functools.cache
def _engine(docker_host: str) -> tuple[str, int]:
    """Driver of control groups and major version."""
    with guard():
        facts = connect(docker_host).info()
    major = str(facts.get("ServerVersion", "")).partition(".")[0]
    return str(facts.get("CgroupDriver", "")), int(major) if major.isdigit() else LISTENS_FROM


def make_group(root: Path, name: str, limits: BuildLimits) -> str:
    """The group below `root`, whichever version of control groups is mounted there. Raises
    `OSError`."""
    quota = int(limits.cpus * PERIOD)
    if (root / "cgroup.controllers").exists():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "memory.max", str(limits.memory_bytes))
        _write(folder / "memory.swap.max", "0", needed=False)
        _write(folder / "cpu.max", f"{quota} {PERIOD}")
        return f"/{name}"
    memory, cpu = root / "memory" / name, root / "cpu" / name
    memory.mkdir(parents=True, exist_ok=True)
    cpu.mkdir(parents=True, exist_ok=True)
    # Memory with swap may never be less than memory alone: raise the one before the other.
    swap = memory / "memory.memsw.limit_in_bytes"
    _write(swap, "-1", needed=False)
    _write(memory / "memory.limit_in_bytes", str(limits.memory_bytes))
    _write(swap, str(limits.memory_bytes), needed=False)
    _write(cpu / "cpu.cfs_period_us", str(PERIOD))
    _write(cpu / "cpu.cfs_quota_us", str(quota))
    return f"/{name}"


def make_slice(name: str, limits: BuildLimits) -> str:
    """The slice of systemd's, by a unit of the running system (see systemd.resource-control(5)).
    Raises `OSError` and `subprocess.SubprocessError`."""
    text = (
        "[Unit]\nDescription=Builds of Mist\n\n[Slice]\n"
        f"MemoryMax={limits.memory_bytes}\nMemorySwapMax=0\nCPUQuota={limits.cpus * 100:.0f}%\n"
    )
    unit = UNITS / name
    if not unit.exists() or unit.read_text() != text:
        unit.write_text(text)
        subprocess.run(["systemctl", "daemon-reload"], check=True, capture_output=True, timeout=30)
    subprocess.run(["systemctl", "start", name], check=True, capture_output=True, timeout=30)
    return name


def _write(path: Path, value: str, *, needed: bool = True) -> None:
    try:
        path.write_text(value)
    except OSError:
        # Kernels without swap accounting lack that file.
        if needed:
            raise
