"""Where a connection may lead that Mist makes for an address somebody typed.

The check is on the address that is connected to, at that moment, and not on the name: a name may
lead elsewhere a second later (DNS rebinding), and a server may redirect. So whatever fetches such
an address connects through `connect` here: git by way of `egress_proxy`, ssh by running this file,
which therefore needs nothing but Python's own library.

OWASP: Server-Side Request Forgery Prevention Cheat Sheet.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
CONNECT_SECONDS = 15.0
ITSELF = "it is the server itself"
"""Why an address of this machine is refused that a setting can open."""

_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's host
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS over IPv6
        "fd20:ce::254",  # Google Cloud over IPv6
    )
)
"""Addresses that hand a machine's keys to whoever asks, beside the link-local 169.254.169.254."""
_EMBEDDING = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (
        ("64:ff9b::/96", 0),  # NAT64, RFC 6052
        ("64:ff9b:1::/48", 0),  # RFC 8215
        ("::/96", 0),  # IPv4-compatible, RFC 4291
        ("2002::/16", 80),  # 6to4, RFC 3056
    )
)
"""IPv6 networks whose addresses lead to an IPv4 address that they hold, and where in them."""
_NO_GIT_HOST = frozenset({2375, 2376, 2377, 5432, 6379})
"""Ports of engines, PostgreSQL and Redis, which trust their network."""


class Refused(OSError):
    """Mist does not connect there."""


@dataclass(frozen=True)
class Rules:
    """What is closed besides what is closed for every Mist."""

    localhost: bool = False
    """Whether this machine's loopback addresses may be asked at all ports that are not closed."""
    open_ports: frozenset[int] = frozenset()
    """Ports of loopback addresses that may be asked in any case: Mist's own pages."""
    closed_ports: frozenset[int] = frozenset()
    """Ports of this machine, and of `closed_hosts`, that are for Mist alone."""
    closed_hosts: tuple[str, ...] = ()
    """Names of other machines with such ports."""
    closed_networks: tuple[str, ...] = ()
    """Networks that nothing is fetched from: the apps' own."""

    def words(self) -> list[str]:
        """As `from_words` reads them."""
        return [
            f"localhost={int(self.localhost)}",
            *(f"open={port}" for port in sorted(self.open_ports)),
            *(f"port={port}" for port in sorted(self.closed_ports)),
            *(f"host={host}" for host in self.closed_hosts),
            *(f"network={network}" for network in self.closed_networks),
        ]

    @classmethod
    def from_words(cls, words: list[str]) -> Rules:
        pairs = [word.partition("=")[::2] for word in words]

        def of(kind: str) -> list[str]:
            return [value for name, value in pairs if name == kind]

        return cls(
            localhost=of("localhost") == ["1"],
            open_ports=frozenset(map(int, of("open"))),
            closed_ports=frozenset(map(int, of("port"))),
            closed_hosts=tuple(of("host")),
            closed_networks=tuple(of("network")),
        )


def refusal(address: Address, port: int, rules: Rules) -> str:
    """Why Mist does not connect there; empty when it may. Private networks may be asked: a Git host
    of one's own is often there."""
    for one in (address, *_within(address)):
        if one in _METADATA or one.is_link_local:
            return "it is a link-local or metadata address"
        # Of IPv6 Python calls all reserved that stands for something else, as ::1 does.
        reserved = one.version == 4 and one.is_reserved
        if one.is_unspecified or one.is_multicast or reserved:
            return "it is no address of one machine"
        if any(_is_in(one, network) for network in rules.closed_networks):
            return "it belongs to the apps that Mist runs"
        if not one.is_global and port in _NO_GIT_HOST:
            return f"port {port} is an engine's or a database's"
        if one.is_loopback and not rules.localhost and port not in rules.open_ports:
            return ITSELF
        if port in rules.closed_ports and (_is_own(one) or _is_named(one, rules.closed_hosts)):
            return f"port {port} is for Mist itself"
    return ""


def connect(host: str, port: int, rules: Rules) -> socket.socket:
    """A connection to the first address of `host` that answers and may be asked.

    Raises `Refused` when none may be, and what `socket` raises.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, where in found:
        if reason := refusal(_parsed(str(where[0])), port, rules):
            raise Refused(f"{host} leads to {where[0]}: {reason}")
        made = socket.socket(family, kind, protocol)
        made.settimeout(CONNECT_SECONDS)
        try:
            made.connect(where)
        except OSError as error:
            made.close()
            problem = error
        else:
            made.settimeout(None)
            return made
    raise problem


def check(host: str, port: int, rules: Rules) -> None:
    """For what another program connects to by that name, which may choose any of its addresses.

    Raises `Refused` unless all of them may be asked, and what `socket` raises for a name without
    one. It cannot know where the name leads when that program asks, nor where the server sends it.
    """
    for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if reason := refusal(_parsed(str(where[0])), port, rules):
            raise Refused(f"{host} leads to {where[0]}: {reason}")


def _parsed(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _within(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    return [
        ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
        for network, shift in _EMBEDDING
        if address in network and not (address.is_loopback or address.is_unspecified)
    ]


def _is_in(address: Address, network: str) -> bool:
    return address in ipaddress.ip_network(network, strict=False)


def _is_own(address: Address) -> bool:
    """Whether it is an address of this machine: only to such a one a socket can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        try:
            trial.bind((str(address), 0))
        except OSError:
            return False
    return True


def _is_named(address: Address, hosts: tuple[str, ...]) -> bool:
    for host in hosts:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            continue
        if any(_parsed(str(where[0])) == address for *_, where in found):
            return True
    return False


def _hand_over(host: str, port: str, words: list[str]) -> int:
    """Be ssh's ProxyCommand with ProxyUseFdpass: connect, and give ssh the connection."""
    try:
        made = connect(host.strip("[]"), int(port), Rules.from_words(words))
    except Refused as error:
        sys.stderr.write(f"mist: refused: {error}\n")
    except socket.gaierror:
        sys.stderr.write(f"mist: could not resolve host {host}\n")
    except OSError as error:
        sys.stderr.write(f"mist: failed to connect to {host} port {port}: {error}\n")
    else:
        with socket.socket(fileno=sys.stdout.fileno()) as ssh, made:
            socket.send_fds(ssh, [b"\0"], [made.fileno()])
            ssh.detach()
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(_hand_over(sys.argv[1], sys.argv[2], sys.argv[3:]))
