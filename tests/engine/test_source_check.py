"""What Mist takes as a repository, ref, name, port, path and host name. What it refuses is in
tests/security/test_typed_source_refuse.py."""

from __future__ import annotations

import pytest

from apps.engine.sources import (
    check_health_path,
    check_host_name,
    check_name,
    check_port,
    check_ref,
    check_relative_path,
    check_repository_url,
    display_url,
)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("https://github.com/halden/api", "https://github.com/halden/api"),
        ("HTTPS://GitHub.com/Halden/API.git/", "https://github.com/Halden/API.git"),
        ("http://127.0.0.1:3000/halden/api.git", "http://127.0.0.1:3000/halden/api.git"),
        ("http://[::1]:3000/api.git", "http://[::1]:3000/api.git"),
        ("http://gitea/a/b/c/d", "http://gitea/a/b/c/d"),
        ("https://git.example.com/caf%C3%A9/x", "https://git.example.com/caf%C3%A9/x"),
        ("ssh://git@Example.com:2222/~halden/api", "ssh://git@example.com:2222/~halden/api"),
        ("ssh://example.com/srv/git/api.git", "ssh://example.com/srv/git/api.git"),
        ("git@GitHub.com:halden/api.git", "git@github.com:halden/api.git"),
        ("git@example.com:/srv/api.git", "git@example.com:/srv/api.git"),
    ],
)
def test_it_takes_the_four_kinds_of_address(text: str, stored: str) -> None:
    assert check_repository_url(text) == stored
    assert check_repository_url(stored) == stored


@pytest.mark.parametrize(
    ("url", "short"),
    [
        ("https://github.com/halden/tidewater-api.git", "halden/tidewater-api"),
        ("git@github.com:halden/tidewater-api", "halden/tidewater-api"),
        ("https://gitlab.com/group/sub/api/", "sub/api"),
        ("ssh://git@example.com/api.git", "api"),
        ("what is this", "what is this"),
    ],
)
def test_an_address_has_a_short_form(url: str, short: str) -> None:
    assert display_url(url) == short


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "v1.2.3",
        "feature/login",
        "fix/#12",
        "renovate/@types-node",
        "a+b",
        "_x",
        "x-",
        "a@b",
    ],
)
def test_it_takes_branches_and_tags(ref: str) -> None:
    assert check_ref(ref) == ref


def test_a_commit_is_stored_in_lower_case() -> None:
    assert check_ref("A" * 40) == "a" * 40


@pytest.mark.parametrize("name", ["a", "7", "web", "tidewater-api", "a--b", "a" * 40])
def test_it_takes_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(("value", "port"), [(1, 1), ("8000", 8000), (65535, 65535), ("080", 80)])
def test_it_takes_ports(value: str | int, port: int) -> None:
    assert check_port(value) == port


@pytest.mark.parametrize("path", ["/", "/healthz", "/a/b?full=1&x=%20", "/~me/@x:y"])
def test_it_takes_health_paths(path: str) -> None:
    assert check_health_path(path) == path


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Shop.Example.COM", "shop.example.com"),
        ("shop.example.com.", "shop.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("1.example.com", "1.example.com"),
    ],
)
def test_it_takes_host_names(text: str, host: str) -> None:
    assert check_host_name(text) == host


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""), (".", ""), ("./", ""), ("web", "web"), ("./web/", "web"), ("a//b", "a/b"),
        ("deploy/Dockerfile.prod", "deploy/Dockerfile.prod"), ("with space/é", "with space/é"),
        ("..a/b..", "..a/b.."),
    ],
)  # fmt: skip
def test_it_takes_relative_paths(text: str, path: str) -> None:
    assert check_relative_path(text) == path
