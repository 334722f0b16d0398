"""Addresses of GitHub servers, and who can reach them."""

from __future__ import annotations

import pytest

from apps.engine.errors import InvalidSource
from apps.engine.github_address import check_github, is_reachable


@pytest.mark.parametrize(
    ("text", "html_url", "api_url"),
    [
        ("", "https://github.com", "https://api.github.com"),
        ("https://GitHub.com/", "https://github.com", "https://api.github.com"),
        ("https://git.example.com", "https://git.example.com", "https://git.example.com/api/v3"),
        ("https://halden.ghe.com", "https://halden.ghe.com", "https://api.halden.ghe.com"),
        ("https://git.example.com:8443/", "https://git.example.com:8443", "https://git.example.com:8443/api/v3"),
    ],
)  # fmt: skip
def test_an_address_is_that_of_a_server(text: str, html_url: str, api_url: str) -> None:
    found = check_github(text, localhost=False)
    assert (found.html_url, found.api_url) == (html_url, api_url)


@pytest.mark.parametrize(
    "text",
    [
        "http://github.example.com", "http://127.0.0.1:80", "github.example.com", "ssh://git@host", "git@host:x",
        "https://user:pw@github.example.com", "https://github.example.com/path", "https://a.example.com?x=1",
        "file:///etc", "https://", "https://a b", "https://x;form-action *", "https://a.example.com#x", "javascript:1",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(InvalidSource):
        check_github(text, localhost=False)


def test_who_can_reach_a_name() -> None:
    for name in ("localhost", "127.0.0.1", "[::1]", "mist.localhost", "0.0.0.0"):
        assert not is_reachable(name, from_internet=True)
        assert not is_reachable(name, from_internet=False)
    for name in ("10.0.0.5", "192.168.1.2", "server", "server.local"):
        assert not is_reachable(name, from_internet=True)
        assert is_reachable(name, from_internet=False)
    assert is_reachable("mist.example.com", from_internet=True)
    assert is_reachable("8.8.8.8", from_internet=True)
