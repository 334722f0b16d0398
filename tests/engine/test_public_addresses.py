"""By which addresses visitors reach the server: told, seen, or asked for outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.engine.machine_net import machine_addresses
from apps.engine.public_addresses import check_service, own_addresses
from tests.machine.outside import Outside, serve_outside

PRIVATE = ["10.0.0.5", "127.0.0.1", "::1"]


@pytest.fixture
def outside() -> Iterator[Outside]:
    with serve_outside() as made:
        yield made


def test_what_is_told_counts_alone(outside: Outside) -> None:
    found = own_addresses(
        named=["2001:db8::7", "203.0.113.7"], service=outside.url, own=["8.8.8.8", *PRIVATE]
    )
    assert found.public == ("203.0.113.7", "2001:db8::7") and not found.unsure
    assert outside.asked == 0


def test_public_addresses_of_interfaces_are_found_and_nobody_is_asked(outside: Outside) -> None:
    found = own_addresses(named=[], service=outside.url, own=["8.8.8.8", "2606:4700::9", *PRIVATE])
    assert found.public == ("8.8.8.8", "2606:4700::9")
    assert found.private == tuple(PRIVATE) and not found.unsure
    assert outside.asked == 0


def test_the_address_in_the_dashboards_own_counts() -> None:
    assert own_addresses(named=[], known="8.8.4.4", own=PRIVATE).public == ("8.8.4.4",)
    found = own_addresses(named=[], known="mist.example.com", own=PRIVATE)
    assert found.public == () and found.unsure == {4}


def test_with_private_ones_only_nobody_is_asked_unless_named(outside: Outside) -> None:
    outside.says = "8.8.8.8\n"
    assert own_addresses(named=[], own=PRIVATE).unsure == {4}
    assert outside.asked == 0
    for _ in range(3):
        found = own_addresses(named=[], service=outside.url, own=PRIVATE)
        assert found.public == ("8.8.8.8",) and not found.unsure
    assert outside.asked == 1


@pytest.mark.parametrize("says", ["10.0.0.1", "<html>", "", "8.8.8.8 8.8.4.4", "2606:4700::1"])
def test_an_answer_that_is_no_public_address_is_none(outside: Outside, says: str) -> None:
    outside.says = says
    for _ in range(3):
        assert own_addresses(named=[], service=outside.url, own=PRIVATE).public == ()
    assert outside.asked == 1


def test_without_the_internet_it_is_not_known(outside: Outside) -> None:
    outside.server.shutdown()
    outside.server.server_close()
    assert own_addresses(named=[], service=outside.url, own=PRIVATE).unsure == {4}


def test_a_machine_without_ipv4_is_sure_of_that() -> None:
    found = own_addresses(named=[], own=["127.0.0.1", "::1", "2606:4700::9"])
    assert found.public == ("2606:4700::9",) and not found.unsure


@pytest.mark.parametrize(
    "url", ["http://ip.example", "ip.example", "", "ftp://ip.example", "https://"]
)
def test_nobody_is_asked_where_others_could_answer(url: str) -> None:
    with pytest.raises(ValueError):
        check_service(url)
    assert check_service("https://ip.example/") and check_service("http://127.0.0.1:1/")


def test_addresses_of_interfaces_are_read_without_link_local_ones(tmp_path: Path) -> None:
    (tmp_path / "fib_trie").write_text(
        "Main:\n  |-- 127.0.0.1\n      /32 host LOCAL\n  |-- 8.8.8.8\n      /32 host LOCAL\n"
        "Local:\n  |-- 8.8.8.8\n      /32 host LOCAL\n"
    )
    (tmp_path / "if_inet6").write_text(
        "26064700000000000000000000000001 02 40 00 01 eth0\n"
        "fe80000000000000000000000000000a 02 40 20 80 eth0\n"
        "26064700000000000000000000000002 02 40 00 80 eth0\n"
    )
    assert machine_addresses(tmp_path) == ["127.0.0.1", "8.8.8.8", "2606:4700::2", "2606:4700::1"]
