"""Whose address a request has, behind proxies and with made-up headers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from apps.accounts.client import client_address


def address(peer: str, forwarded: str | None = None) -> str | None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # A header that no proxy of ours wrote.
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.1, 198.51.100.1", "198.51.100.1"),  # The left one is made up.
        ("127.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 127.0.0.2", "198.51.100.1"),  # Two proxies.
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "198.51.100.1, nonsense", "127.0.0.1"),
        ("127.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1, 127.0.0.1", "127.0.0.1"),
        ("", "198.51.100.1", None),
        ("/run/mist.sock", None, None),
    ],
)
def test_it_believes_only_what_trusted_proxies_wrote(
    peer: str, forwarded: str | None, found: str | None
) -> None:
    assert address(peer, forwarded) == found


def test_it_trusts_the_proxies_that_are_named(settings: Settings) -> None:
    settings.MIST_TRUSTED_PROXIES = ["192.0.2.0/24"]
    assert address("192.0.2.4", "198.51.100.1") == "198.51.100.1"
    assert address("127.0.0.1", "198.51.100.1") == "127.0.0.1"


def test_it_trusts_the_traefik_that_is_a_container(settings: Settings) -> None:
    # "localhost" is a name that every machine can look up.
    settings.MIST_TRUSTED_PROXIES = []
    settings.MIST_ENGINE_CONFIG = replace(settings.MIST_ENGINE_CONFIG, proxy_host="localhost")
    assert address("127.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert address("192.0.2.4", "198.51.100.1") == "192.0.2.4"
    settings.MIST_ENGINE_CONFIG = replace(settings.MIST_ENGINE_CONFIG, proxy_host="no.such.invalid")
    assert address("127.0.0.1", "198.51.100.1") == "127.0.0.1"


def test_it_trusts_the_traefik_beside_a_mist_with_one_address(settings: Settings) -> None:
    settings.MIST_BIND = "192.0.2.80"
    assert address("192.0.2.80", "198.51.100.1") == "198.51.100.1"
