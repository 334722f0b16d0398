"""Ports for what a test, or a bench, starts a while after it has chosen them."""

from __future__ import annotations

import socket
from pathlib import Path

from apps.engine.bench import free_ports

GIVEN_BY_LINUX = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_they_can_be_had_and_are_not_what_others_get_by_chance() -> None:
    given = range(*map(int, GIVEN_BY_LINUX.read_text().split()))
    ports = free_ports(50)
    assert len(set(ports)) == 50 and not set(ports) & set(given)
    for port in ports:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))
