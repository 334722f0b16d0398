"""Who has not logged in sees nothing but the pages that say they are open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

OPEN = {
    "login", "login_code", "login_passkey", "passkey_challenge", "password_forget",
    "password_reset", "invitation", "invitation_join", "setup", "healthz", "sample_repository",
    "webhook", "github_app_webhook", "deploy_hook", "dashboard_confirm",
}  # fmt: skip
ARGUMENTS: dict[str, Any] = {
    "project": "shop",
    "app": "web",
    "number": 1,
    "pk": 1,
    "user": 1,
    "member": 1,
    "invitation": 1,
    "github_app": 1,
    "delivery": 1,
    "token": "token",
    "uid": "MQ",
    "public_id": "p",
    "name": "hello",
    "rest": "info/refs",
    "kind": "github",
    "provider": "cloudflare",
    "secret": "nothing",
}


def named_urls(patterns: list[Any]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            # The API is no page: tests/access/test_every_api_address.py walks it.
            if pattern.app_name not in ("admin", "api"):
                yield from named_urls(pattern.url_patterns)
        else:
            yield pattern


def every_url() -> list[tuple[str, str]]:
    return [
        (str(p.name), reverse(str(p.name), kwargs={k: ARGUMENTS[k] for k in p.pattern.converters}))
        for p in named_urls(get_resolver().url_patterns)
    ]


def test_it_sends_a_stranger_to_the_login_page_from_every_url(client: Client, web: object) -> None:
    urls = [(name, url) for name, url in every_url() if name not in OPEN]
    assert len(urls) > 20
    for name, url in urls:
        for answer in (client.get(url), client.post(url)):
            assert answer.status_code == 302, name
            assert answer["Location"].startswith("/login/"), name


def test_it_sends_a_fragment_request_of_a_stranger_to_the_login_page(client: Client) -> None:
    answer = client.get("/projects/", headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == "/login/"


def test_it_names_every_url_once() -> None:
    names = [name for name, _ in every_url()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("url", ["/admin/", "/admin/login/", "/admin/accounts/user/"])
def test_it_has_one_login_page_for_the_admin_too(client: Client, db: None, url: str) -> None:
    last = client.get(url, follow=True).redirect_chain[-1][0]
    assert last.startswith("/login/?next=/admin/")
