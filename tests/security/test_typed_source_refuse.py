"""What Mist refuses as a repository, ref, name, port, path and host name, so that none of them is ever
a command, an option, another rule or another file."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.engine.errors import InvalidSource
from apps.engine.sources import (
    check_health_path,
    check_host_name,
    check_name,
    check_port,
    check_ref,
    check_relative_path,
    check_repository_url,
)

SHELL_AND_SPACE = re.compile(r"[\s\x00-\x20\x7f`$;&|<>(){}\"'\\*]")


def refused(check: object, text: object) -> str:
    with pytest.raises(InvalidSource) as caught:
        check(text)  # type: ignore[operator]
    return caught.value.sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "halden/api",
        "/srv/git/api.git",
        "./api",
        "../api",
        "~/api",
        "file:///etc",
        "FILE:///etc",
        "file://localhost/etc",
        "ext::sh -c id",
        "ext::sh%20-c%20id",
        "https::ext::sh",
        "fd::17",
        "git://example.com/a",
        "ftp://example.com/a",
        "javascript:alert(1)",
        "git+ssh://example.com/a",
        "--upload-pack=id",
        "-u",
        "https://-oProxyCommand=id/a",
        "ssh://-oProxyCommand=id/a",
        "ssh://-u@example.com/a",
        "-oProxyCommand=id@example.com:a",
        "git@-oProxyCommand=id:a",
        "git@example.com:-oProxyCommand",
        "git@example.com:a/--upload-pack=x",
        "git@ext::sh",
        "https://example.com",
        "https://example.com/",
        "https://example.com/a b",
        "https://example.com/a\n",
        "https://example.com/a\n--upload-pack=id",
        " https://example.com/a",
        "https://example.com/a\x00",
        "https://example.com/a%0aHost:x",
        "https://example.com/a%00",
        "https://example.com/a%",
        "https://example.com/../a",
        "https://example.com/a//b",
        "https://example.com/$(id)",
        "https://example.com/`id`",
        "https://example.com/a;b",
        "https://example.com/a#b",
        "https://example.com:0/a",
        "https://example.com:65536/a",
        "https://example.com:/a",
        "https://example.com:8o/a",
        "https:\\\\example.com\\a",
        "https://exa\u212aple.com/a",
        "https://example.com/\u017f",
        "https://example.com/" + "a" * 2_000,
    ],
)
def test_it_refuses_every_other_address(text: str) -> None:
    sentence = refused(check_repository_url, text)
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "https://ghp_s3cret@github.com/a/b",
        "https://user:s3cret@github.com/a/b",
        "https://x:s3cret@evil@github.com/a/b",
        "ssh://git:s3cret@github.com/a/b",
        "https://gitlab.com/a/b?private_token=s3cret",
    ],
)
def test_it_refuses_a_secret_in_an_address_without_repeating_it(text: str) -> None:
    sentence = refused(check_repository_url, text)
    assert "token" in sentence
    assert "s3cret" not in sentence


@given(st.text(max_size=60) | st.from_regex(r"(https?|ssh|ext|file)(://|::)[ -~]{0,40}\n?"))
@example("git@host:a\n")
def test_an_accepted_address_is_stable_and_plain(text: str) -> None:
    try:
        stored = check_repository_url(text)
    except InvalidSource:
        return
    assert check_repository_url(stored) == stored
    assert not SHELL_AND_SPACE.search(stored)
    assert stored.isascii()
    assert re.match(r"(https?://|ssh://|[a-zA-Z0-9_][^:/]*@)", stored)
    assert "::" not in stored.partition("]")[2] if "[" in stored else "::" not in stored


@pytest.mark.parametrize(
    "ref",
    [
        "", "-", "--upload-pack=id", "-x", "$(id)", "a;b", "a b", "a`id`", "a|b", "a&b", "a\n", "\na",
        "a\x00", "a..b", "a//b", "/a", "a/", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a~1", "a^", "a:b",
        "a?", "a*", "[a", "a\\b", "@", "@{-1}", "a@{1}", "HEAD", "refs/heads/main", "m\u0430in", "a" * 201,
        "+a:b", "+refs/heads/*:refs/heads/*",
    ],
)  # fmt: skip
def test_it_refuses_other_refs(ref: str) -> None:
    assert "for example main" in refused(check_ref, ref)


@given(st.text(max_size=30) | st.from_regex(r"[a-z]+[-/.@;$`\n a-z]{0,10}"))
def test_an_accepted_ref_is_stable_and_plain(text: str) -> None:
    try:
        ref = check_ref(text)
    except InvalidSource:
        return
    assert check_ref(ref) == ref
    assert not SHELL_AND_SPACE.search(ref)
    assert ref.isascii()
    assert not ref.startswith(("-", "/", "+"))
    assert ".." not in ref


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "é", "٣", "a/b", "a;id", "$(id)", "a" * 41],
)
def test_it_refuses_other_names(name: str) -> None:
    assert "tidewater-api" in refused(check_name, name)


@pytest.mark.parametrize(
    "value", ["", 0, -1, 65_536, "0", "65536", "8000\n", " 80", "٨٠", "8e3", "0x50", "1_000", True]
)
def test_it_refuses_other_ports(value: str | int) -> None:
    assert "8000" in refused(check_port, value)


@pytest.mark.parametrize(
    "path",
    ["", "healthz", "//evil.example", "/a b", "/a\r\nHost: x", "/a\n", "/a#b", "/é", "/" + "a" * 500,
     "http://evil.example/", "/\x00", "/a\\b", '/"'],
)  # fmt: skip
def test_it_refuses_other_health_paths(path: str) -> None:
    assert "/healthz" in refused(check_health_path, path)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "a..b", ".a", "-a.example", "a-.example", "a_b.example", "a b.example", "a.example\n",
        "a.com`) || Host(`b.com", "a.com) || Host(b.com", "*.example.com", "a.example:80", "a.example/x",
        "http://a.example", "a@b.example", "127.0.0.1", "::1", "[::1]", "2130706433", "0x7f000001",
        "127.0.0.0x1", "１２７.0.0.1", "a" * 64 + ".example", "a." * 126 + "example", "a.example..",
        "{a}.example", "ⓐ\u202e.example", "a\u200b`.example",
    ],
)  # fmt: skip
def test_it_refuses_other_host_names(text: str) -> None:
    assert "shop.example.com" in refused(check_host_name, text)


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9.`()*| -]{1,30}\n?"))
def test_an_accepted_host_name_is_stable_and_plain(text: str) -> None:
    try:
        host = check_host_name(text)
    except InvalidSource:
        return
    assert check_host_name(host) == host
    assert re.fullmatch(r"[a-z0-9.-]{1,253}", host)
    assert all(0 < len(label) <= 63 for label in host.split("."))


@pytest.mark.parametrize(
    "text",
    ["/", "/etc", "..", "../x", "a/../../b", "a/..", "a\\..\\b", "a\n", " a", "a\x00b", "a\u202eb",
     "\ud800", "a" * 501],
)  # fmt: skip
def test_it_refuses_other_relative_paths(text: str) -> None:
    assert "path" in refused(check_relative_path, text)


@given(st.text(max_size=40) | st.from_regex(r"[./a\\ ]{0,20}"))
@example("./ 0")
def test_an_accepted_path_is_stable_and_stays_inside(text: str) -> None:
    try:
        path = check_relative_path(text)
    except InvalidSource:
        return
    assert check_relative_path(path) == path
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert "\\" not in path
