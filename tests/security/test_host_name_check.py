"""Mist answers under its own names only, so no stranger's name that leads here is Mist's to a browser."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.system.planning import is_own_name, is_own_origin
from apps.system.services import setup_token
from tests.conftest import PASSWORD

OWN = [
    "testserver",
    "localhost",
    "localhost:8080",
    "LOCALHOST",
    "127.0.0.1:8080",
    "192.168.1.20",
    "203.0.113.7:8080",
    "[::1]:8080",
    "[2001:db8::1]",
    "dash.example.org",
    "dash.example.org.",
    "apps.example.net",
    socket.gethostname(),
]
FOREIGN = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "evil-localhost",
    "web.apps.example.net",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "dash.example.org.evil.example",
    "2130706433",
    "0x7f000001",
    "127.1",
    "mist-web",
    "[evil]",
    "evil.example, testserver",
    "testserver@evil.example",
    "testserver/evil",
    "a b",
    "",
]


@pytest.fixture
def named(settings: Any, data_dir: Path) -> None:
    settings.MIST_URL = "https://dash.example.org:8443"
    settings.MIST_BASE_DOMAIN = "apps.example.net"


@pytest.mark.parametrize("host", OWN)
def test_it_answers_under_its_own_names(
    client: Client, alice: User, named: None, host: str
) -> None:
    assert client.get("/login/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/login/", "/", "/nope/", "/static/live.js", "/healthz/"])
def test_dns_rebinding_is_refused_in_plain_words(
    client: Client, alice: User, named: None, host: str, path: str
) -> None:
    client.force_login(alice)
    answer = client.get(path, headers={"host": host})
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain; charset=utf-8")
    text = answer.content.decode()
    assert "MIST_URL" in text and "evil" not in text


def test_a_fresh_mist_can_be_set_up_by_any_name_and_keeps_it(
    client: Client, data_dir: Path, db: None
) -> None:
    token = setup_token()
    form = {"email": "alice@example.com", "name": "Alice", "password": PASSWORD}
    for host in ("mist.lan:8080", "other.lan"):
        assert client.get(f"/setup/{token}/", headers={"host": host}).status_code == 200
    made = client.post(f"/setup/{token}/", form, headers={"host": "mist.lan:8080"})
    assert made.status_code == 302
    assert client.get("/", headers={"host": "mist.lan:8080"}).status_code == 200
    assert client.get("/", headers={"host": "other.lan"}).status_code == 400


def test_a_wrong_setup_link_makes_no_name_known(client: Client, data_dir: Path, db: None) -> None:
    setup_token()
    form = {"email": "alice@example.com", "name": "Alice", "password": PASSWORD}
    client.post("/setup/wrong/", form, headers={"host": "evil.example"})
    assert not is_own_name("evil.example")


def test_more_names_can_be_set(client: Client, alice: User, settings: Any) -> None:
    settings.MIST_ALLOWED_HOSTS = ["mist.lan", ".corp.example"]
    for host, status in (("mist.lan", 200), ("a.corp.example", 200), ("corp.example.evil", 400)):
        assert client.get("/login/", headers={"host": host}).status_code == status


@pytest.mark.parametrize("header", ["x-forwarded-host", "x-host", "forwarded"])
def test_no_other_header_names_the_host(client: Client, alice: User, header: str) -> None:
    answer = client.get("/login/", headers={header: "host=evil.example"})
    assert answer.status_code == 200 and "evil" not in answer.content.decode()


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "own"),
    [
        ("http://testserver:8080", "http", "testserver:8080", True),
        ("http://testserver", "http", "testserver:80", True),
        ("http://TESTSERVER:8080", "http", "testserver:8080", True),
        ("http://127.0.0.1:8080", "http", "127.0.0.1:8080", True),
        ("http://[::1]:8080", "http", "[::1]:8080", True),
        ("https://dash.example.org:8443", "https", "127.0.0.1:8080", True),
        ("https://testserver", "https", "testserver", True),
        ("https://testserver", "http", "testserver", False),
        ("http://testserver", "https", "testserver", False),
        ("http://testserver:8081", "http", "testserver:8080", False),
        ("http://testserver", "http", "testserver:8080", False),
        ("http://evil.example", "http", "testserver", False),
        ("http://evil.example", "http", "evil.example", False),
        ("https://dash.example.org:8443", "https", "evil.example", False),
        ("http://testserver.evil.example", "http", "testserver", False),
        ("http://testserver@evil.example", "http", "testserver", False),
        ("http://evil@testserver", "http", "testserver", False),
        ("null", "http", "testserver", False),
        ("", "http", "testserver", False),
        ("file://", "http", "testserver", False),
        ("ws://testserver", "http", "testserver", False),
        ("http://testserver:x", "http", "testserver", False),
        ("http://[", "http", "testserver", False),
        ("testserver", "http", "testserver", False),
    ],
)
def test_a_websocket_is_for_pages_of_this_very_site(
    named: None, origin: str, scheme: str, host: str, own: bool
) -> None:
    assert is_own_origin(origin, scheme=scheme, host=host) is own
