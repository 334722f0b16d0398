"""No answer of Mist's leads a browser to another site, whatever it is asked."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

import pytest
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.login_views import where_to
from apps.accounts.models import User
from tests.conftest import PASSWORD

TRICKS = [
    "//evil.example", "///evil.example", "////evil.example/x", "/\\evil.example", "\\\\evil.example",
    "\\/evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example",
    "\x00//evil.example", "\x0b//evil.example", "http://evil.example", "HTTPS://evil.example",
    "http:evil.example", "http:/evil.example", "http:///evil.example", "https:\\\\evil.example",
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,x",
    "vbscript:x", "http://testserver@evil.example/", "http://testserver.evil.example/",
    "http://evil.example#testserver", "//testserver@evil.example", "//evil.example\\@testserver",
    "%2f%2fevil.example", "/%2f/evil.example", "/%0d%0aLocation:%20//evil.example",
    "/ok\r\nLocation: http://evil.example", "/\r\nSet-Cookie: a=b", "evil.example", "@evil.example",
    "?next=//evil.example", "#//evil.example", "//[::1]", "///\\;@evil.example", "//evil%E3%80%82com",
    "\u2028//evil.example", "/\u200b/evil.example", "\uff0f\uff0fevil.example", "http://[evil",
]  # fmt: skip
HERE = "http://testserver/login/"


def leads_away(location: str) -> bool:
    """As a browser reads it (WHATWG URL): tabs and line ends go, a backslash is a slash."""
    text = location.strip("".join(map(chr, range(33))))
    text = "".join(char for char in text if char not in "\t\r\n").replace("\\", "/")
    try:
        parts = urlsplit(urljoin(HERE, text))
    except ValueError:
        return True
    return parts.scheme not in ("http", "https") or parts.netloc != "testserver"


@pytest.mark.parametrize("trick", TRICKS)
def test_an_open_redirect_is_refused_everywhere(client: Client, alice: User, trick: str) -> None:
    form = {"email": "alice@example.com", "password": PASSWORD, "next": trick}
    answers = [client.post("/login/", form), client.get("/login/", {"next": trick})]
    answers += [client.post("/login/", form), client.post("/account/theme/", {"next": trick})]
    answers += [client.post(f"/account/theme/?next={quote(trick)}")]
    answers += [Client().get("/admin/login/", {"next": trick})]
    for answer in answers:
        assert answer.status_code == 302
        assert not leads_away(answer["Location"]), answer["Location"]
        assert not {"\n", "\r"} & set(answer["Location"])


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "//evil.example/%2e%2e", "/%5cevil.example"])  # fmt: skip
def test_an_address_that_lacks_its_slash_leads_nowhere_else(
    client: Client, alice: User, path: str
) -> None:
    for person in (Client(), client):
        answer = person.get(path)
        assert not leads_away(answer.headers.get("Location", "/"))


def test_a_path_of_our_own_is_followed(client: Client, alice: User) -> None:
    form = {"email": "alice@example.com", "password": PASSWORD, "next": "/projects/?page=2"}
    assert client.post("/login/", form)["Location"] == "/projects/?page=2"


@given(st.text(max_size=30) | st.from_regex(r"[/\\\t\n :@.a-z%0-9]{1,20}", fullmatch=True))
def test_whatever_next_is_it_stays_here(text: str) -> None:
    assert not leads_away(where_to(RequestFactory().get("/login/", {"next": text})))
