"""Changing an app's settings, and deleting it."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.projects.models import App

S = "/projects/shop/apps/web/settings/"
D = "/projects/shop/apps/web/delete/"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def test_changed_settings_are_kept(inside: Client, web: App) -> None:
    fields = {"repository": web.repository, "branch": "release", "port": "9000", "memory_mb": "256"}
    assert inside.post(S, fields).status_code == 302
    web.refresh_from_db()
    assert (web.branch, web.port, web.memory_mb, web.slug) == ("release", 9000, 256, "web")


def test_the_name_stays_what_it_is(inside: Client, web: App) -> None:
    inside.post(S, {"repository": web.repository, "slug": "other"})
    web.refresh_from_db()
    assert web.slug == "web"


def test_a_bad_value_is_told_beside_its_field_and_nothing_is_saved(
    inside: Client, web: App
) -> None:
    fields = {"repository": web.repository, "branch": "release", "health_path": "healthz"}
    page = inside.post(S, fields).content.decode()
    assert 'aria-invalid="true"' in page and 'value="healthz"' in page
    assert 'value="release"' in page
    web.refresh_from_db()
    assert web.branch == "main"


@pytest.mark.parametrize("typed", ["", "web", "shop/we", "SHOP/WEB", "shop/web/"])
def test_deleting_takes_the_whole_name(inside: Client, web: App, typed: str) -> None:
    answer = inside.post(D, {"confirm": typed})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "This is not shop/web. Nothing was deleted." in page
    web.refresh_from_db()
    assert web.deleted_at is None


def test_deleting_leads_back_to_the_project(inside: Client, web: App) -> None:
    answer = inside.post(D, {"confirm": "shop/web"}, follow=True)
    assert answer.redirect_chain == [("/projects/shop/", 302)]
    web.refresh_from_db()
    assert web.deleted_at is not None and web.needs_apply
    assert inside.get("/projects/shop/apps/web/").status_code == 404


def test_deleting_takes_a_post(inside: Client, web: App) -> None:
    assert inside.get(D).status_code == 405
