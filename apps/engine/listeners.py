"""The sockets that Traefik listens on, shared with it, so that no visitor is refused while one
Traefik takes the place of another.

The listening sockets of an entry point are a group (SO_REUSEPORT, see socket(7)), which is Mist's
to lead: a new connection waits at the one that a small program names by its place in the group. At
rest there is one. A Traefik that starts opens the second, and answers 404 until it has read all
routes; so visitors are led there only when it has. Where the kernel allows none of this, sockets
cannot be taken, and Traefik has to end before the next one starts.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from apps.engine.locks import file_lock

FIRST, SECOND = 0, 1
"""Places in the group: who came first, and moves up when the one before it is closed."""
TO_NEWEST = "127.77.73.83"
"""Who asks from this address of the machine itself is led to the second."""
MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")
MIGRATE_LOCK = Path("/run/mist-migrate.lock")
"""Held by whoever has changed it. Root alone can make it: anybody could in /run/lock."""
_SO_ATTACH_REUSEPORT_CBPF = 51
_PIDFD_GETFD = 438
_SENDER = 0xFFF00000 + 12
"""Where a program finds the sender in IPv4's header: SKF_NET_OFF of linux/filter.h, and 12."""
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Listeners:
    """A second handle of each socket. It is open, and takes connections, until both are closed."""

    pid: int
    sockets: Sequence[socket.socket]

    def lead(self, place: int) -> None:
        """Whoever comes from now on waits at that place of each group; at any that is left, where
        there is no such place. Raises `OSError`."""
        [address] = struct.unpack("!I", socket.inet_aton(TO_NEWEST))
        program = [
            (0x20, 0, 0, _SENDER),  # load the sender's address
            (0x15, 0, 1, address),  # go on if it is that one, else skip a line
            (0x06, 0, 0, SECOND),  # answer
            (0x06, 0, 0, place),
        ]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
        value = struct.pack("HP", len(program), ctypes.addressof(code))
        for one in self.sockets:
            one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, value)

    def close(self) -> None:
        for one in self.sockets:
            one.close()


def take(pid: int, ports: Collection[int]) -> Listeners | None:
    """Handles of what that process listens on, and whoever comes waits at the first of each group;
    None where the kernel does not give them, or where the ports are not all such groups."""
    found: dict[int, socket.socket] = {}
    with suppress(OSError, psutil.Error):
        pidfd = os.pidfd_open(pid)
        try:
            for port, number in _listening(pid):
                if port in ports and port not in found:
                    found[port] = _copy(pidfd, number)
        finally:
            os.close(pidfd)
        if found.keys() == set(ports):
            taken = Listeners(pid, list(found.values()))
            taken.lead(FIRST)
            return taken
    for one in found.values():
        one.close()
    return None


def listening(pid: int) -> set[int]:
    """The ports on which that process takes connections."""
    try:
        return {port for port, _ in _listening(pid)}
    except psutil.Error:
        return set()


@contextmanager
def migrating() -> Iterator[None]:
    """Meanwhile connections that wait at a socket which is closed for good move to the next one of
    its group, instead of being cut, where Mist `can_migrate`. No other sockets are concerned.

    It is a setting of the machine: one Mist waits for another, lest it is put back too early."""
    if not can_migrate():
        yield
        return
    with file_lock(MIGRATE_LOCK):
        before = MIGRATE.read_text()
        MIGRATE.write_text("1\n")
        try:
            yield
        finally:
            MIGRATE.write_text(before)


def can_migrate() -> bool:
    """It takes root and Linux 5.14."""
    return os.access(MIGRATE, os.W_OK)


def _listening(pid: int) -> Iterator[tuple[int, int]]:
    """Port and number of each handle."""
    for one in psutil.Process(pid).net_connections(kind="tcp"):
        if one.status == psutil.CONN_LISTEN:
            yield one.laddr[1], one.fd


def _copy(pidfd: int, number: int) -> socket.socket:
    """See pidfd_getfd(2); Python has no word for it."""
    copy = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    if copy < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return socket.socket(fileno=copy)
