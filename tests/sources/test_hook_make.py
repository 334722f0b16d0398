"""Webhooks and deploy hooks on the Source tab of an app."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.projects.models import App, Project
from apps.projects.services import app_create
from apps.sources.hook_cards import guess_kind
from apps.sources.hook_services import deploy_hook_create
from apps.sources.models import DeployHook, Webhook
from tests.sources.conftest import Host, MakeHost
from tests.sources.payloads import github_push

SOURCE = "/projects/shop/apps/web/source/"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def page(client: Client, path: str = SOURCE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def new_secret(text: str) -> str:
    found = re.search(r'id="new-secret"[^>]*>([^<]+)<', text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea", "bitbucket"])
def test_a_webhooks_secret_is_shown_once_with_what_to_do(kind: str, inside: Client) -> None:
    answer = inside.post(f"{SOURCE}webhooks/{kind}/secret/")
    text = answer.content.decode()
    webhook = Webhook.objects.get()
    assert new_secret(text) == webhook.secret
    assert f"/hooks/{kind}/{webhook.public_id}<" in text
    assert "Settings" in text or "Repository settings" in text
    assert answer["Cache-Control"].startswith("max-age=0") or "no-store" in answer["Cache-Control"]
    for path in (SOURCE, "/projects/shop/deliveries/", f"{SOURCE}webhooks/{kind}/secret/"):
        assert webhook.secret not in page(inside, path)
    assert f"/hooks/{kind}/{webhook.public_id}" in page(inside)


def test_a_new_secret_takes_the_place_of_the_old_one(inside: Client, github: Host) -> None:
    question = page(inside, f"{SOURCE}webhooks/github/secret/")
    assert "is refused at once" in question
    assert Webhook.objects.get().secret == github.secret
    made = new_secret(inside.post(f"{SOURCE}webhooks/github/secret/").content.decode())
    assert made == Webhook.objects.get().secret != github.secret
    assert AuditEvent.objects.filter(action="webhook.rotate").count() == 1


def test_a_kind_that_there_is_not_is_not_there(inside: Client) -> None:
    assert inside.post(f"{SOURCE}webhooks/sourcehut/secret/").status_code == 404
    assert inside.get(f"{SOURCE}webhooks/github/delete/").status_code == 404


@pytest.mark.parametrize(
    ("repository", "kind"),
    [
        ("https://github.com/a/b", "github"),
        ("git@gitlab.example.com:a/b.git", "gitlab"),
        ("https://codeberg.org/a/b", "gitea"),
        ("ssh://git@bitbucket.org/a/b", "bitbucket"),
        ("https://git.example.com/github/b", None),
        ("", None),
    ],
)
def test_the_kind_is_guessed_from_the_host(repository: str, kind: str | None) -> None:
    assert guess_kind(repository) == kind


def test_the_guessed_kind_comes_first(inside: Client, web: App) -> None:
    App.objects.update(repository="https://gitlab.example.com/shop/web")
    kinds = re.findall(r"webhooks/(\w+)/secret/", page(inside))
    assert kinds[0] == "gitlab"


def test_an_app_that_is_pushed_to_mist_has_no_use_for_webhooks(inside: Client, web: App) -> None:
    App.objects.update(source_kind="mist")
    text = page(inside)
    assert 'id="webhooks"' not in text
    assert 'id="deploy-hooks"' in text


def test_a_webhook_tells_when_something_came_last(inside: Client, github: Host) -> None:
    assert "Nothing came yet" in page(inside)
    github.send("push", github_push())
    text = page(inside)
    assert "Nothing came yet" not in text
    assert ">Deployed<" in text


def test_a_deploy_hook_is_shown_once(inside: Client) -> None:
    answer = inside.post(f"{SOURCE}deploy-hooks/", {"name": " Nightly  build "})
    address = new_secret(answer.content.decode())
    hook = DeployHook.objects.get()
    assert (hook.name, str(hook.created_by)) == ("Nightly build", "Alice Archer")
    text = page(inside)
    assert "Nightly build" in text and hook.prefix in text
    assert address.rpartition("/")[2] not in text
    path = address[address.index("/hooks/") :]
    assert Client().post(path).status_code == 202
    inside.post(f"{SOURCE}deploy-hooks/{hook.pk}/revoke/")
    assert Client().post(path).status_code == 404


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00b"])
def test_a_deploy_hook_has_a_name(name: str, inside: Client) -> None:
    answer = inside.post(f"{SOURCE}deploy-hooks/", {"name": name})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert not DeployHook.objects.exists()


def test_a_hook_of_another_app_is_not_there(inside: Client, shop: Project, web: App) -> None:
    api = app_create(project=shop, slug="api", repository=web.repository, created_by=None)
    hook = deploy_hook_create(app=api, name="CI", created_by=None).hook
    assert inside.get(f"{SOURCE}deploy-hooks/{hook.pk}/revoke/").status_code == 404
    assert inside.post(f"{SOURCE}deploy-hooks/{hook.pk}/revoke/").status_code == 404


def test_the_page_costs_the_same_however_many_there_are(
    inside: Client, web: App, host_of: MakeHost, django_assert_max_num_queries: object
) -> None:
    for kind in ("github", "gitlab"):
        host_of(kind).send("ping", {})
    for n in range(5):
        deploy_hook_create(app=web, name=f"Hook {n}", created_by=None)
    with django_assert_max_num_queries(20):  # type: ignore[operator]
        page(inside)
