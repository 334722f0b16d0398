"""Whose address a request has, and how it came, behind proxies and with made-up headers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from apps.accounts.client import came_by_https, client_address


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


@pytest.mark.parametrize(
    ("peer", "said", "found"),
    [
        ("127.0.0.1", "https", True),
        ("::1", "https", True),
        ("127.0.0.1", "wss", True),  # As Traefik says it of a WebSocket.
        ("127.0.0.1", "HTTPS, http", True),
        ("127.0.0.1", "http, https", False),
        ("127.0.0.1", "http", False),
        ("127.0.0.1", "", False),
        ("203.0.113.9", "https", False),  # Whoever comes to Mist's own port can write it.
        ("", "https", False),
        ("/run/mist.sock", "https", False),
    ],
)
def test_that_it_came_by_https_says_a_trusted_proxy_alone(
    peer: str, said: str, found: bool
) -> None:
    assert came_by_https(peer, said) is found
