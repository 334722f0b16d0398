"""What the machine itself uses: processor, memory, load, network, disks."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from apps.engine.host import own_address
from apps.engine.machine_net import machine_traffic
from apps.engine.usage import Usage


@dataclass(frozen=True)
class Disk:
    """One filesystem."""

    path: str
    what: str
    """What Mist uses it for."""
    used: int
    """Bytes."""
    total: int

    @property
    def share(self) -> float:
        """Used part of what may be used, 0 to 1."""
        return self.used / self.total if self.total else 0.0


@dataclass(frozen=True)
class HostFacts:
    """What does not change while the machine runs."""

    name: str
    address: str
    system: str
    kernel: str
    cores: int
    memory: int
    """Bytes."""
    booted_at: float
    """Seconds since the epoch."""


def read_facts() -> HostFacts:
    return HostFacts(
        name=platform.node() or "localhost",
        address=own_address(),
        system=_system_name(),
        kernel=f"{platform.system()} {platform.release()}",
        cores=psutil.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
        booted_at=psutil.boot_time(),
    )


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def read_load() -> tuple[float, float, float]:
    """Over 1, 5 and 15 minutes."""
    return os.getloadavg()


def read_host() -> Usage:
    """The machine's counters in the shape of a container's, without `pids`: network without the
    loopback and what is inside of the machine, whole disks without what is made of them."""
    times = psutil.cpu_times()
    busy = sum(times) - times.idle - getattr(times, "iowait", 0.0)
    # Guests' time is part of user time already.
    busy -= getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    memory = psutil.virtual_memory()
    received, sent = _network()
    read, written = _disks()
    return Usage(
        cpu=int(busy * 1_000_000),
        memory=memory.total - memory.available,
        received=received,
        sent=sent,
        read=read,
        written=written,
        pids=0,
    )


_INSIDE = ("lo", "veth", "br-", "docker", "virbr", "vnet", "cni", "flannel", "cali")
"""Interfaces between the machine and its own containers: their bytes are not the network's."""


def _network() -> tuple[int, int]:
    received = sent = 0
    for name, came, went in machine_traffic():
        if not name.startswith(_INSIDE):
            received += came
            sent += went
    return received, sent


_MADE_OF_DISKS = ("loop", "dm-", "md", "ram", "zram", "sr", "nbd")
"""Block devices whose bytes a disk counts too, or that are none."""


def _disks() -> tuple[int, int]:
    read = written = 0
    for name, counters in psutil.disk_io_counters(perdisk=True, nowrap=False).items():
        if not name.startswith(_MADE_OF_DISKS):
            read += counters.read_bytes
            written += counters.write_bytes
    return read, written


def read_disks(places: Iterable[tuple[Path, str]]) -> list[Disk]:
    """The filesystems behind the places, each once, named after all that it holds."""
    found: dict[int, Disk] = {}
    for path, what in places:
        try:
            device = path.stat().st_dev
            usage = psutil.disk_usage(str(path))
        except OSError:
            continue
        known = found.get(device)
        found[device] = Disk(
            path=known.path if known else str(path),
            what=f"{known.what}, {what}" if known else what,
            used=usage.used,
            # What root alone may use is nobody's: this is the total that `df` reckons with.
            total=usage.used + usage.free,
        )
    return list(found.values())


def uptime(facts: HostFacts) -> float:
    """Seconds since the machine started."""
    return max(0.0, time.time() - facts.booted_at)
