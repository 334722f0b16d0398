"""Adding and removing host names on an app's page."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.domains.models import Domain
from apps.domains.services import domain_add
from apps.projects.models import App, Project
from apps.projects.services import app_create

URL = "/projects/shop/apps/web/domains/"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def test_it_lists_the_own_address_and_added_names(inside: Client, web: App) -> None:
    assert inside.post(URL, {"host": " Shop.Example.com "}).status_code == 302
    page = inside.get(URL).content.decode()
    assert "web-shop.localhost" in page and "shop.example.com" in page
    web.refresh_from_db()
    assert web.needs_apply


@pytest.mark.parametrize(
    "host", ["", "no spaces", "http://a.example", "-a.example", "x.localhost", "a.mist.internal"]
)
def test_a_bad_name_is_told_beside_the_field(inside: Client, web: App, host: str) -> None:
    answer = inside.post(URL, {"host": host})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'role="alert"' in page and f'value="{host}"' in page if host else True
    assert not Domain.objects.exists()


def test_a_name_of_another_app_is_told_whose_it_is(inside: Client, web: App, shop: Project) -> None:
    api = app_create(project=shop, slug="api", repository="https://e.example/r", created_by=None)
    domain_add(app=api, host="shop.example.com", created_by=None)
    page = inside.post(URL, {"host": "shop.example.com"}).content.decode()
    assert "belongs to the app shop/api already" in page
    assert Domain.objects.count() == 1


def test_a_removed_name_is_free_again(inside: Client, web: App) -> None:
    domain = domain_add(app=web, host="shop.example.com", created_by=None)
    assert inside.get(f"{URL}{domain.pk}/delete/").status_code == 200
    assert Domain.objects.exists()
    assert inside.post(f"{URL}{domain.pk}/delete/").status_code == 302
    assert not Domain.objects.exists()


def test_a_name_of_another_app_cannot_be_removed_here(
    inside: Client, web: App, shop: Project
) -> None:
    api = app_create(project=shop, slug="api", repository="https://e.example/r", created_by=None)
    domain = domain_add(app=api, host="shop.example.com", created_by=None)
    assert inside.post(f"{URL}{domain.pk}/delete/").status_code == 404
    assert Domain.objects.count() == 1
