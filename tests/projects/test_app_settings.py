"""Changing an app's settings, and deleting it."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.projects.models import App

S = "/projects/shop/apps/web/settings/"
SOURCE = "/projects/shop/apps/web/source/"
D = "/projects/shop/apps/web/delete/"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def test_changed_settings_are_kept(inside: Client, web: App) -> None:
    assert inside.post(S, {"port": "9000", "memory_mb": "256"}).status_code == 302
    fields = {"repository": web.repository, "branch": "release", "watch_paths": " docs/* \n\n"}
    assert inside.post(SOURCE, fields).status_code == 302
    web.refresh_from_db()
    assert (web.branch, web.port, web.memory_mb, web.slug) == ("release", 9000, 256, "web")
    assert web.watch_paths == "docs/*" and not web.auto_deploy


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"source_kind": "git"}, "Say where the code is"),
        ({"source_kind": "image"}, "Name the image"),
        ({"source_kind": "github"}, "Select a valid choice"),
        ({"source_kind": "mist", "watch_paths": "../x"}, "stays inside it"),
        ({"source_kind": "mist", "tag_pattern": "v *"}, "A branch or tag has letters"),
    ],
)
def test_a_source_that_cannot_be_is_told_and_not_saved(
    inside: Client, web: App, fields: dict[str, str], words: str
) -> None:
    page = inside.post(SOURCE, fields).content.decode()
    assert words in page
    web.refresh_from_db()
    assert web.source_kind == "git" and web.repository


def test_an_app_that_is_pushed_needs_no_repository(inside: Client, web: App) -> None:
    assert inside.post(SOURCE, {"source_kind": "mist", "repository": ""}).status_code == 302
    web.refresh_from_db()
    assert web.source_kind == "mist"
    assert "Pushed to Mist" in inside.get("/projects/shop/apps/web/").content.decode()


def test_the_name_stays_what_it_is(inside: Client, web: App) -> None:
    inside.post(S, {"repository": web.repository, "slug": "other"})
    web.refresh_from_db()
    assert web.slug == "web"


def test_a_bad_value_is_told_beside_its_field_and_nothing_is_saved(
    inside: Client, web: App
) -> None:
    page = inside.post(S, {"memory_mb": "300", "health_path": "healthz"}).content.decode()
    assert 'aria-invalid="true"' in page and 'value="healthz"' in page
    assert 'value="300"' in page
    web.refresh_from_db()
    assert web.memory_mb == 512


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
