"""The machine's own network, also for a Mist inside a container that shares its process ids.

A container sees interfaces and addresses of its own. The first process of the machine has the
machine's, and the kernel shows them below `/proc/1/net` (proc(5)).
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

Net = ipaddress.IPv4Network
_MACHINE = Path("/proc/1/net")
_OWN = Path("/proc/net")
_LINK, _TEMPORARY = 0x20, 0x01
"""Scope of link-local addresses and flag of passing ones in `/proc/net/if_inet6`."""
_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


def read_machine_file(name: str, folder: Path = _MACHINE) -> str:
    """A file of the machine's network, of this process's where that may not be read."""
    try:
        return (folder / name).read_text()
    except OSError:
        return (_OWN / name).read_text()


def machine_networks(folder: Path = _MACHINE) -> list[Net]:
    """IPv4 networks that the machine is a member of."""
    return [net for _, net, gateway in _routes(folder) if not int(gateway) and net.prefixlen]


def machine_address(folder: Path = _MACHINE) -> str:
    """The machine's address towards its default route, empty when it has none."""
    routes = list(_routes(folder))
    ways = [(name, gateway) for name, net, gateway in routes if not net.prefixlen]
    text = read_machine_file("fib_trie", folder)
    mine = [ipaddress.IPv4Address(found) for found in dict.fromkeys(_LOCAL.findall(text))]
    for name, gateway in ways:
        for other, net, hop in routes:
            if other == name and net.prefixlen and not int(hop) and gateway in net:
                return next((str(address) for address in mine if address in net), "")
    return ""


def is_machines_address(address: str, folder: Path = _MACHINE) -> bool:
    """Whether the machine itself has it, and not only the container that this runs in."""
    return address in _LOCAL.findall(read_machine_file("fib_trie", folder))


def machine_traffic(folder: Path = _MACHINE) -> Iterator[tuple[str, int, int]]:
    """Each interface with the bytes that came in and went out."""
    for line in read_machine_file("dev", folder).splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        yield name.strip(), int(fields[0]), int(fields[8])


def _routes(folder: Path) -> Iterator[tuple[str, Net, ipaddress.IPv4Address]]:
    """Interface, destination and gateway of each IPv4 route."""
    for line in read_machine_file("route", folder).splitlines()[1:]:
        fields = line.split()
        # The kernel prints addresses as numbers of this machine's byte order.
        destination, gateway, mask = (
            socket.inet_ntoa(struct.pack("=I", int(fields[at], 16))) for at in (1, 2, 7)
        )
        yield (
            fields[0],
            Net(f"{destination}/{mask}", strict=False),
            ipaddress.IPv4Address(gateway),
        )


def machine_addresses(folder: Path = _MACHINE) -> list[str]:
    """Every address that the machine's interfaces have, IPv4 first, without link-local ones.
    Those that change from hour to hour (RFC 8981) come last."""
    try:
        found = list(dict.fromkeys(_LOCAL.findall(read_machine_file("fib_trie", folder))))
        lines = read_machine_file("if_inet6", folder).splitlines()
    except OSError:
        return []
    lasting, passing = list[str](), list[str]()
    for line in lines:
        digits, _, _, scope, flags, _ = line.split(None, 5)
        if int(scope, 16) == _LINK:
            continue
        address = str(ipaddress.IPv6Address(int(digits, 16)))
        (passing if int(flags, 16) & _TEMPORARY else lasting).append(address)
    return [*found, *lasting, *passing]
