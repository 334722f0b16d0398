"""No bytes that are posted to any address of Mist's make it fail: bounded fuzzing of every form."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.access.test_every_address import NAMES, OWNER, World, addresses, world

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
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(data=st.data())
def test_no_field_of_any_form_breaks_an_address(
    name: str, world: World, fields: list[str], data: Any
) -> None:
    path = _path(name, world)
    given_ = data.draw(st.dictionaries(st.sampled_from(fields), value, max_size=len(fields)))
    # All of them at times, so that forms with many required fields get past the first one.
    if data.draw(st.booleans()):
        given_ = dict.fromkeys(fields, data.draw(value)) | given_
    query = data.draw(st.dictionaries(st.sampled_from(fields), value, max_size=3))
    _post(world, path, given_, query=query)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(
    body=st.binary(max_size=300),
    kind=st.sampled_from([
        "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=\x00", "application/json", "text/plain; charset=utf-99", "",
        "application/x-www-form-urlencoded; charset=utf-16",
    ]),
)  # fmt: skip
def test_no_bytes_break_an_address(name: str, world: World, body: bytes, kind: str) -> None:
    _post(world, _path(name, world), body, kind=kind)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(query=st.dictionaries(st.sampled_from([
    "q", "page", "edit", "next", "range", "deployment", "container", "at", "line", "from", "to", "deploy",
    "recent", "here", "follow", "t", "level", "stream", "path",
]), value, max_size=6))  # fmt: skip
def test_no_query_breaks_an_address(name: str, world: World, query: dict[str, str]) -> None:
    answer = world.clients[OWNER].get(_path(name, world), query)
    assert answer.status_code < 500


def _path(name: str, world: World) -> str:
    [pattern] = [p for p in addresses() if p.name == name]
    return reverse(name, kwargs={key: world.values[key] for key in pattern.pattern.converters})


def _post(world: World, path: str, body: Any, *, kind: str = "", query: Any = None) -> None:
    more = {"content_type": kind} if isinstance(body, bytes) else {}
    client = Client()
    client.cookies = world.clients[OWNER].cookies.copy()
    with transaction.atomic():
        answer = client.post(path, body, query_params=query, **more)
        transaction.set_rollback(True)
    assert answer.status_code < 500, json.dumps(str(body))
