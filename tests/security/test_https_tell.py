"""One Mist by its own name over HTTPS and by other addresses over plain HTTP: what browsers keep of
each, and whose word for HTTPS counts."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import sync_to_async
from channels.testing import HttpCommunicator, WebsocketCommunicator
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.system.names import keep_names
from mist_project.asgi import application
from tests.conftest import PASSWORD
from tests.security.test_headers_send import wrong_with_answer

NAME = "mist.example.net"
SECURE = {"__Host-mist_session", "__Host-mist_csrf", "__Host-mist_device"}
PROXY, STRANGER = ("127.0.0.1", 4711), ("203.0.113.9", 4711)


@pytest.fixture
def named(data_dir: Path, alice: User) -> None:
    keep_names(dashboard=NAME)


def browse(client: Client, method: str, path: str, *, https: bool, **more: Any) -> Any:
    """As a browser at the name does, which sends the Origin of its page with a form."""
    origin = f"{'https' if https else 'http'}://{NAME}"
    headers = {"host": NAME} | ({"origin": origin} if method == "post" else {})
    return getattr(client, method)(
        path, secure=https, headers=headers | more.pop("headers", {}), **more
    )


def log_in(client: Client, *, https: bool, **more: Any) -> Any:
    form = browse(client, "get", "/login/", https=https).content.decode()
    found = re.search(r'csrfmiddlewaretoken" value="([^"]+)', form)
    assert found is not None
    given = {"email": "alice@example.com", "password": PASSWORD, "csrfmiddlewaretoken": found[1]}
    return browse(client, "post", "/login/", https=https, data=given, **more)


def is_in(client: Client, *, https: bool) -> bool:
    return bool(browse(client, "get", "/account/", https=https).status_code == 200)


def test_cookies_are_secure_over_https_and_plain_where_there_is_none(named: None) -> None:
    for https, names in ((True, SECURE), (False, {n.removeprefix("__Host-") for n in SECURE})):
        client = Client(enforce_csrf_checks=True)
        answer = log_in(client, https=https)
        assert answer.status_code == 302 and wrong_with_answer(answer) == []
        assert set(client.cookies) == names
        for cookie in client.cookies.values():
            assert (
                bool(cookie["secure"]) is https and cookie["path"] == "/" and not cookie["domain"]
            )
        assert is_in(client, https=https)
        assert "Strict-Transport-Security" not in answer


def test_a_log_in_over_https_and_one_over_http_stand_beside_each_other(named: None) -> None:
    client = Client(enforce_csrf_checks=True)
    log_in(client, https=True)
    assert is_in(client, https=True) and not is_in(client, https=False)
    log_in(client, https=False)
    assert is_in(client, https=True) and is_in(client, https=False)
    browse(client, "get", "/login/", https=False)
    assert is_in(client, https=True)


def test_what_was_planted_over_plain_http_counts_for_nothing_over_https(named: None) -> None:
    client = Client(enforce_csrf_checks=True)
    log_in(client, https=False)
    assert is_in(client, https=False) and not is_in(client, https=True)


def test_a_form_is_taken_from_the_very_site_alone(named: None) -> None:
    for https, origin in ((True, f"http://{NAME}"), (False, f"https://{NAME}")):
        client = Client(enforce_csrf_checks=True)
        answer = log_in(client, https=https, headers={"origin": origin})
        assert answer.status_code == 403, origin
    client = Client(enforce_csrf_checks=True)
    assert log_in(client, https=True, headers={"origin": "https://evil.example"}).status_code == 403


def test_a_log_out_over_https_takes_its_cookie_away(named: None) -> None:
    client = Client()
    log_in(client, https=True)
    answer = browse(client, "post", "/logout/", https=True)
    gone = answer.cookies["__Host-mist_session"]
    assert gone["max-age"] == 0 and gone["secure"] and not is_in(client, https=True)


async def said(client: tuple[str, int], scheme: str) -> SimpleCookie:
    """The cookies of the log-in page, asked for over a connection from there."""
    headers = [(b"host", NAME.encode()), (b"x-forwarded-proto", scheme.encode())]
    asked = HttpCommunicator(application, "GET", "/login/", b"", headers)
    asked.scope["client"] = client
    answer = await asked.get_response(timeout=10)
    found: SimpleCookie = SimpleCookie()
    for name, value in answer["headers"]:
        if name == b"Set-Cookie":
            found.load(value.decode())
    return found


@pytest.mark.django_db(transaction=True)
async def test_only_a_proxy_of_mists_is_believed_that_a_request_came_by_https(named: None) -> None:
    assert set(await said(PROXY, "https")) == {"__Host-mist_csrf"}
    assert set(await said(PROXY, "http")) == {"mist_csrf"}
    assert set(await said(STRANGER, "https")) == {"mist_csrf"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("client", "scheme", "origin", "opens"),
    [
        (PROXY, "wss", f"https://{NAME}", True),
        (PROXY, "https", f"https://{NAME}", True),
        (PROXY, "wss", f"http://{NAME}", False),
        (PROXY, "ws", f"https://{NAME}", False),
        (STRANGER, "wss", f"https://{NAME}", False),
        (PROXY, "wss", "https://evil.example", False),
    ],
)
async def test_a_page_over_https_is_live_by_its_own_session_alone(
    named: None, client: tuple[str, int], scheme: str, origin: str, opens: bool
) -> None:
    browser = Client()
    await sync_to_async(log_in)(browser, https=True)
    cookies = "; ".join(f"{name}={one.value}" for name, one in browser.cookies.items())
    socket = WebsocketCommunicator(
        application,
        f"/ws/page/?{urlencode({'path': '/'})}",
        headers=[
            (b"host", NAME.encode()),
            (b"origin", origin.encode()),
            (b"cookie", cookies.encode()),
            (b"x-forwarded-proto", scheme.encode()),
        ],
    )
    socket.scope["client"] = client
    accepted, _ = await socket.connect(timeout=10)
    assert accepted is opens
    await socket.disconnect()


@pytest.mark.django_db(transaction=True)
async def test_a_proxy_that_nobody_named_is_believed_where_all_come_by_https(
    named: None, settings: Settings
) -> None:
    settings.MIST_HTTPS = settings.SECURE_SSL_REDIRECT = True
    assert set(await said(STRANGER, "https")) == {"__Host-mist_csrf"}
