"""No bytes that are posted to any address of Mist's make it fail: bounded fuzzing of every form."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.access.table import OWNER
from tests.access.test_every_address import World, addresses, world

__all__ = ["world"]
FIELDS = re.compile(r'<(?:input|select|textarea|button)[^>]* name="([^"]+)"')
PAGES = [
    "/login/", "/account/", "/new-project/", "/projects/shop/new-app/", "/projects/shop/delete/",
    "/projects/shop/apps/web/settings/", "/projects/shop/apps/web/environment/",
    "/projects/shop/apps/web/environment/?edit=1", "/projects/shop/apps/web/domains/",
    "/projects/shop/apps/web/deployments/?deploy=other", "/projects/shop/apps/web/delete/",
    "/projects/shop/apps/web/deployments/1/rollback/", "/storage/",
]  # fmt: skip
ELSEWHERE = {"variable", "edit", "next", "theme", "shortcuts", "pinned", "variables", "q", "page"}
VALUES = [
    "", " ", "0", "1", "-1", "1e999", "NaN", "9" * 30, "on", "\x00", "a\x00b", "\n", "\r\n", "\ud7ff",
    "\ufffe", "🦔" * 50, "a" * 5_000, "../../etc", "<script>", "%s%n", "{{7*7}}", "${7*7}", "`id`",
    "true", "null", "[]", "name", "password", "runtime", "KEY=value\nOTHER='", "\u202e", "٣", "1_0",
    "main", "web", "/data", "8000", "shop.example.com", "https://git.example.com/a/b",
]  # fmt: skip
BOUNDED = settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def fields(world: World) -> list[str]:
    """Every name that a form of Mist's has."""
    names = set(ELSEWHERE)
    for path in PAGES:
        client = Client() if path == "/login/" else world.clients[OWNER]
        names |= set(FIELDS.findall(client.get(path).content.decode()))
    assert {"slug", "repository", "host", "path", "port", "text", "confirm", "password"} <= names
    return sorted(names - {"csrfmiddlewaretoken"})


value = st.sampled_from(VALUES) | st.text(max_size=30)
QUERY = [
    "q", "page", "edit", "next", "range", "deployment", "container", "at", "line", "from", "to",
    "deploy", "recent", "here", "follow", "t", "level", "stream", "path",
]  # fmt: skip
KINDS = [
    "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=\x00", "application/json", "text/plain; charset=utf-99", "",
    "application/x-www-form-urlencoded; charset=utf-16", "multipart/form-data; boundary=x; charset=no",
]  # fmt: skip


@BOUNDED
@given(data=st.data())
def test_no_field_of_any_form_breaks_any_address(
    world: World, fields: list[str], data: Any
) -> None:
    form = data.draw(st.dictionaries(st.sampled_from(fields), value, max_size=len(fields)))
    # All of them at times, so that forms with many required fields get past the first one.
    if data.draw(st.booleans()):
        form = dict.fromkeys(fields, data.draw(value)) | form
    query = data.draw(st.dictionaries(st.sampled_from(fields), value, max_size=3))
    walk(world, lambda client, path: client.post(path, form, query_params=query), form)


@BOUNDED
@given(body=st.binary(max_size=300), kind=st.sampled_from(KINDS))
@example(body=b"", kind=KINDS[3])
@example(
    body=b'--x\r\nContent-Disposition: form-data; name="a"; filename="../b"\r\n\r\n', kind=KINDS[2]
)
@example(body=b"name=%ff%fe&value=%00&host=%0a", kind=KINDS[0])
@example(body=b"\xff", kind=KINDS[5])
def test_no_bytes_break_any_address(world: World, body: bytes, kind: str) -> None:
    walk(world, lambda client, path: client.generic("POST", path, body, kind), (kind, body))


@BOUNDED
@given(query=st.dictionaries(st.sampled_from(QUERY), value, max_size=6))
@example(query=dict.fromkeys(QUERY, "9" * 30))
@example(query=dict.fromkeys(QUERY, "a\x00b"))
@example(query=dict.fromkeys(QUERY, "-1"))
def test_no_query_breaks_any_address(world: World, query: dict[str, str]) -> None:
    walk(world, lambda client, path: client.get(path, query), query)


def walk(world: World, ask: Callable[[Client, str], Any], said: object) -> None:
    """Ask every address as an owner, each as if the others had not been asked."""
    for pattern in addresses():
        keys = pattern.pattern.converters
        path = reverse(str(pattern.name), kwargs={key: world.values[key] for key in keys})
        client = Client()
        client.cookies.update(world.clients[OWNER].cookies)
        with transaction.atomic():
            answer = ask(client, path)
            transaction.set_rollback(True)
        assert answer.status_code < 500, (path, said)
