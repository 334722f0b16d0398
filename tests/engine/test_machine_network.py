"""The machine's own network, read by a container that shares its process ids."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from apps.engine.machine_net import (
    is_machines_address,
    machine_address,
    machine_networks,
    machine_traffic,
)

ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000000A\t0100080A\t0003\t0\t0\t0\t000000FF\t0\t0\t0
"""
FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     +-- 172.17.0.0/16 2 0 2
        |-- 172.17.0.1
           /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
"""
DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:  100       1    0    0    0     0          0         0      100       1    0
  eth0:  700       7    0    0    0     0          0         0       30       3    0
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    for name, text in (("route", ROUTE), ("fib_trie", FIB_TRIE), ("dev", DEV)):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_address_is_the_one_towards_the_default_route(net: Path) -> None:
    assert machine_address(net) == "192.0.2.7"
    assert is_machines_address("192.0.2.7", net)
    assert not is_machines_address("172.18.0.5", net)
    assert not is_machines_address("192.0.2.255", net)


def test_networks_are_those_it_is_a_member_of_and_not_what_a_router_leads_to(net: Path) -> None:
    expected = [ipaddress.IPv4Network(text) for text in ("172.17.0.0/16", "192.0.2.0/24")]
    assert machine_networks(net) == expected


def test_traffic_is_counted_for_each_interface(net: Path) -> None:
    assert list(machine_traffic(net)) == [("lo", 100, 100), ("eth0", 700, 30)]


def test_without_a_default_route_there_is_no_address(net: Path) -> None:
    lines = [line for line in ROUTE.splitlines() if "010200C0" not in line]
    (net / "route").write_text("\n".join(lines) + "\n")
    assert machine_address(net) == ""
