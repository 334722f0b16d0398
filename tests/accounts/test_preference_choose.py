"""Theme and shortcuts: chosen with a form, kept for the next page."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.mark.parametrize(("theme", "dark"), [("dark", True), ("light", False)])
def test_a_theme_is_kept(inside: Client, theme: str, dark: bool) -> None:
    answer = inside.post("/account/theme/", {"theme": theme, "next": "/deployments/"})
    assert answer["Location"] == "/deployments/"
    page = inside.get("/account/").content.decode()
    assert ('<html lang="en" class="dark">' in page) is dark
    assert f'value="{theme}" aria-pressed="true"' in page
    assert 'value="system" aria-pressed="false"' in page


@pytest.mark.parametrize("theme", ["system", "", "<script>"])
def test_the_system_decides_where_nothing_is_chosen(inside: Client, theme: str) -> None:
    inside.post("/account/theme/", {"theme": "dark"})
    inside.post("/account/theme/", {"theme": theme})
    page = inside.get("/account/").content.decode()
    assert '<html lang="en">' in page
    assert 'value="system" aria-pressed="true"' in page


def test_choosing_a_theme_leads_nowhere_else(inside: Client) -> None:
    answer = inside.post("/account/theme/", {"theme": "dark", "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_single_keys_can_be_switched_off(inside: Client) -> None:
    assert 'data-shortcuts="off"' not in inside.get("/").content.decode()
    inside.post("/account/shortcuts/", {})
    assert 'data-shortcuts="off"' in inside.get("/").content.decode()
    inside.post("/account/shortcuts/", {"shortcuts": "on"})
    assert 'data-shortcuts="off"' not in inside.get("/").content.decode()
