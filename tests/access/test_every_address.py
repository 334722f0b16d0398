"""Every address, asked by everybody: who may, may, and nobody else.

The table says it a second time, apart from the views. An address that is missing here fails.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from apps.accounts.invitation_services import invitation_create
from apps.accounts.models import InstanceRole, User
from apps.api.services import token_create
from apps.deployments.models import Deployment, Status
from apps.domains.acme_models import DnsAccount
from apps.domains.certificate_services import certificate_save
from apps.domains.rule_services import user_save
from apps.domains.services import domain_add
from apps.engine.fake import FakeEngine
from apps.projects import services
from apps.projects.models import App, Membership, ProjectRole
from apps.projects.shared_services import shared_variable_save
from apps.sources.hook_services import deploy_hook_create, webhook_secret_make
from apps.sources.models import Delivery, GitHubApp, Installation, KnownHost
from apps.sources.registry_services import registry_save
from tests.access.people import person_who_is
from tests.access.table import (
    ADMIN,
    ALLOWED,
    ASKS_FURTHER,
    BY_ROW,
    GONE,
    HIDDEN,
    HOST_KEY,
    MANAGER,
    MINE,
    NOBODY,
    OWNER,
    PEOPLE,
    STRANGER,
    SUDO,
    TABLE,
    TO_LOGIN,
)
from tests.deployments.test_deployment_run import deploy
from tests.machine.issuer import self_signed
from tests.sources.payloads import kept_push


def addresses(patterns: list[URLPattern | URLResolver] | None = None) -> Iterator[URLPattern]:
    """Every address for people; the Django admin has rules of its own below, and the API in
    test_every_api_address.py."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        elif pattern.app_name not in ("admin", "api"):
            yield from addresses(pattern.url_patterns)


NAMES = sorted(str(pattern.name) for pattern in addresses())


@dataclass
class World:
    app: App
    clients: dict[str, Client]
    values: dict[str, object]


@pytest.fixture
def world(fake: FakeEngine, web: App, alice: User) -> World:
    services.variables_save(app=web, values={"KEY": "value"}, changed_by=alice)
    shared = shared_variable_save(
        project=web.project, name="SHARED", value="value", is_locked=False, changed_by=alice
    )
    services.volume_add(app=web, name="data", path="/data", created_by=alice)
    port = services.host_port_add(
        app=web, port=25_565, protocol="tcp", container_port=1, reach="local", created_by=alice
    )
    known = KnownHost.objects.create(project=web.project, host="git.example.com", key_type="ssh-ed25519", key=HOST_KEY)  # fmt: skip
    registry = registry_save(
        project=web.project, registry="ghcr.io", username="bob", password="word", created_by=alice
    )
    domain = domain_add(app=web, host="shop.example.com", created_by=alice)
    visitor = user_save(app=web, domain=None, name="eve", password="pass-word", by=alice)
    certificate = certificate_save(
        project=web.project,
        **vars(self_signed("shop.example.com")),
        created_by=alice,
    )
    live = deploy(web)
    assert (live.status, live.number) == (Status.LIVE, 1)
    # The same rows' keys serve every address that has one.
    assert (
        known.pk
        == shared.pk
        == domain.pk
        == visitor.pk
        == certificate.pk
        == registry.pk
        == port.pk
        == web.variables.get().pk
        == web.volumes.get().pk
        == 1
    )
    clients = {}
    for person in PEOPLE:
        clients[person] = Client(raise_request_exception=True)
        if person != NOBODY:
            clients[person].force_login(person_who_is(person, web))
    owner = User.objects.get(email="owner@example.com")
    assert token_create(user=owner, name="CI", scopes=()).token.pk == 1
    User.objects.filter(email="deactivated@example.com").update(is_active=False)
    viewer = Membership.objects.get(role=ProjectRole.VIEWER)
    invited = invitation_create(
        email="dora@example.com",
        role=InstanceRole.MEMBER,
        by=None,
        project=web.project,
        project_role=ProjectRole.VIEWER,
    ).invitation
    github_app = GitHubApp.objects.create(
        name="Mist", app_id=1, slug="mist", public_id="nothing", api_url="http://127.0.0.1:9"
    )
    Installation.objects.create(github_app=github_app, installation_id=1, account="halden")
    assert DnsAccount.objects.create(provider="duckdns", variables="{}").pk == 1
    values = {
        "project": "shop",
        "app": "web",
        "number": 1,
        "pk": 1,
        "token": "x",
        "provider": "cloudflare",
        "uid": "MQ",
        "user": viewer.user_id,
        "member": viewer.pk,
        "invitation": invited.pk,
    }
    hook = webhook_secret_make(project=web.project, kind="github", by=owner).webhook
    Delivery.objects.create(pk=1, webhook=hook, event="ping", body=zlib.compress(b"{}"))
    assert deploy_hook_create(app=web, name="CI", created_by=owner).hook.pk == hook.pk == 1
    told = Delivery.objects.create(github_app=github_app, event="push", body=kept_push())
    values |= {"github_app": github_app.pk, "delivery": told.pk}
    values |= {"kind": "github", "public_id": "nothing", "secret": "nothing"}
    return World(web, clients, {**values, "name": "hello", "rest": "info/refs"})


def test_every_address_is_in_the_table() -> None:
    assert sorted(TABLE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_address_answers_only_to_whom_it_is_for(name: str, world: World) -> None:
    [pattern] = [p for p in addresses() if p.name == name]
    kwargs = {key: world.values[key] for key in pattern.pattern.converters}
    path = reverse(name, kwargs=kwargs)
    needs = TABLE[name]
    read, write = (needs, needs) if isinstance(needs, str) else needs
    for person, client in world.clients.items():
        for method, need in (("get", read), ("post", write), ("delete", write)):
            with transaction.atomic():
                answer = getattr(client, method)(path)
                transaction.set_rollback(True)
            to_login = answer.status_code == 302 and answer["Location"].startswith("/login/")
            who = f"{person} {method} {path}: {answer.status_code}"
            if name in BY_ROW and method == "delete" and answer.status_code == 405:
                continue
            if person in ALLOWED[need]:
                # Of these the view itself knows who may: a token, this machine, one's own rows.
                if name not in ASKS_FURTHER:
                    assert answer.status_code not in (401, 403, 404), who
                    assert name in TO_LOGIN or not to_login, who
            elif person in (NOBODY, GONE):
                assert to_login, who
            elif (person == STRANGER and need in HIDDEN) or need == MINE:
                assert answer.status_code == 404, who
            else:
                assert answer.status_code == 403, who


@pytest.mark.parametrize("path", ["", "projects/app/", "accounts/user/1/change/", "jsi18n/"])
def test_the_django_admin_is_for_owners(path: str, world: World) -> None:
    for person, client in world.clients.items():
        answer = client.get(f"/admin/{path}")
        if person == OWNER:
            assert answer.status_code == 200
        elif person in (NOBODY, GONE):
            assert "login/?next=" in answer["Location"]
        else:
            assert answer.status_code == 403, person


def test_the_numbers_of_the_server_are_for_admins(world: World) -> None:
    for person, shown in ((MANAGER, False), (ADMIN, True)):
        page = world.clients[person].get("/").content.decode()
        assert ('id="host-metrics"' in page) is shown


def test_who_may_nothing_here_is_told_of_no_project(world: World) -> None:
    """A stranger's pages look as if the project did not exist."""
    Deployment.objects.update(commit_message="The secret plan")
    for path in ("/", "/projects/", "/deployments/", "/search/?q=web", "/palette/?q=web",
                 "/palette/?recent=/projects/shop/apps/web/", "/search/?q=%231", "/account/"):  # fmt: skip
        page = world.clients[STRANGER].get(path).content.decode()
        assert "shop" not in page and "secret plan" not in page, path
    there = world.clients[STRANGER].get("/projects/shop/")
    missing = world.clients[STRANGER].get("/projects/nothing/")
    assert there.status_code == missing.status_code == 404
    assert there.content.replace(b"shop", b"") == missing.content.replace(b"nothing", b"")


@pytest.mark.parametrize("name", NAMES)
def test_secrets_deletion_and_roles_ask_again_who_it_is(name: str, world: World) -> None:
    [pattern] = [p for p in addresses() if p.name == name]
    path = reverse(name, kwargs={key: world.values[key] for key in pattern.pattern.converters})
    client = world.clients[OWNER]
    session = client.session
    session["confirmed_at"] -= 15 * 60
    session.save()
    with transaction.atomic():
        answer = client.post(path)
        transaction.set_rollback(True)
    asked = answer.status_code == 302 and answer["Location"].startswith("/reauthenticate/?next=")
    assert asked is (name in SUDO)
