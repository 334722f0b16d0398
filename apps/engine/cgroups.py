"""What containers use, read from the kernel's own files: no process, no request, about 0.1 ms each.

Control groups of version 1 (one tree for each controller) and 2 (one tree), where Docker's cgroupfs
driver (`docker/<id>`) and systemd's (`system.slice/docker-<id>.scope`) put them. Network counters
stand in `/proc/<pid>/net/dev` of any process inside. See the kernel's admin-guide/cgroup-v1 and
admin-guide/cgroup-v2, and `docker stats`, whose sums these are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from apps.engine.usage import Usage

_PLACES = ("docker/{}", "system.slice/docker-{}.scope")
_SIZE = 65_536
_UNIFIED = "cgroup.controllers"
"""The file that only a tree of version 2 has at its root."""


class CgroupReader:
    """Reads the usage of containers below `cgroup_root`; `proc_root` is where processes are."""

    def __init__(
        self, cgroup_root: Path = Path("/sys/fs/cgroup"), proc_root: Path = Path("/proc")
    ) -> None:
        self._root = str(cgroup_root)
        self._proc = str(proc_root)
        self._unified = (cgroup_root / _UNIFIED).is_file()
        self._place = _PLACES[0]

    def read(self, container_ids: Iterable[str]) -> dict[str, Usage]:
        """Container id → what it has used. Those that do not run, or that cannot be read, are
        left out."""
        return {one: usage for one in container_ids if (usage := self._read_one(one)) is not None}

    def _read_one(self, container_id: str) -> Usage | None:
        for place in (self._place, *(p for p in _PLACES if p != self._place)):
            try:
                usage = self._usage(place.format(container_id))
            except (OSError, ValueError, IndexError):
                # Not here, ended while it was read, or a kernel without this controller.
                continue
            self._place = place
            return usage
        return None

    def _usage(self, group: str) -> Usage:
        if self._unified:
            folder = f"{self._root}/{group}"
            cpu = _field(_text(f"{folder}/cpu.stat"), "usage_usec")
            memory = int(_text(f"{folder}/memory.current"))
            cache = _field(_text(f"{folder}/memory.stat"), "inactive_file")
            read, written = _io_stat(_text(f"{folder}/io.stat", optional=True))
            inside = folder
        else:
            cpu = int(_text(f"{self._root}/cpuacct/{group}/cpuacct.usage")) // 1000
            inside = f"{self._root}/memory/{group}"
            memory = int(_text(f"{inside}/memory.usage_in_bytes"))
            cache = _field(_text(f"{inside}/memory.stat"), "total_inactive_file")
            blocks = f"{self._root}/blkio/{group}/blkio.throttle.io_service_bytes"
            read, written = _service_bytes(_text(blocks, optional=True))
            inside = f"{self._root}/pids/{group}"
        pids = int(_text(f"{inside}/pids.current"))
        received, sent = self._network(_text(f"{inside}/cgroup.procs"))
        return Usage(
            cpu=cpu,
            memory=max(0, memory - cache),
            received=received,
            sent=sent,
            read=read,
            written=written,
            pids=pids,
        )

    def _network(self, processes: str) -> tuple[int, int]:
        """Bytes in and out of all interfaces but the loopback."""
        pid = int(processes.split(None, 1)[0])
        received = sent = 0
        for line in _text(f"{self._proc}/{pid}/net/dev").splitlines()[2:]:
            name, _, numbers = line.partition(":")
            if name.strip() != "lo":
                fields = numbers.split()
                received += int(fields[0])
                sent += int(fields[8])
        return received, sent


def _text(path: str, *, optional: bool = False) -> str:
    """The whole file in one read, as the kernel wants it. A missing one that is `optional` is
    empty. Raises `OSError`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if optional:
            return ""
        raise
    try:
        return os.read(handle, _SIZE).decode("ascii")
    finally:
        os.close(handle)


def _field(text: str, name: str) -> int:
    """The number after `name` in lines of `name number`. Raises `ValueError` without one."""
    wanted = f"{name} "
    start = 0 if text.startswith(wanted) else text.index(f"\n{wanted}") + 1
    return int(text[start + len(wanted) :].split("\n", 1)[0])


def _io_stat(text: str) -> tuple[int, int]:
    """Bytes read and written in lines such as `8:0 rbytes=90430464 wbytes=299008 rios=…`."""
    read = written = 0
    for word in text.split():
        name, _, number = word.partition("=")
        if name == "rbytes":
            read += int(number)
        elif name == "wbytes":
            written += int(number)
    return read, written


def _service_bytes(text: str) -> tuple[int, int]:
    """Bytes read and written in lines such as `8:0 Read 4096`."""
    read = written = 0
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == "Read":
            read += int(words[2])
        elif len(words) == 3 and words[1] == "Write":
            written += int(words[2])
    return read, written
