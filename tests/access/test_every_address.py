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
from tests.deployments.test_deployment_run import deploy
from tests.machine.issuer import self_signed
from tests.sources.payloads import kept_push

NOBODY, STRANGER, VIEWER, DEVELOPER, MANAGER, ADMIN, OWNER, GONE = PEOPLE = (
    "nobody", "stranger", "viewer", "developer", "project admin", "admin", "owner", "deactivated",
)  # fmt: skip
EVERYBODY, SIGNED_IN = "everybody", "signed in"
MINE = "whose it is"
"""The owner's here: what belongs to a person does not exist for another one."""

HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

# Address → who may read, and who may do; one word where that is the same.
TABLE = {
    "dashboard": SIGNED_IN,
    "setup": EVERYBODY,
    "healthz": EVERYBODY,
    "demo_start": ADMIN,
    "sample_repository": EVERYBODY,
    "search": SIGNED_IN,
    "palette": SIGNED_IN,
    "settings": ADMIN,
    "addresses": ADMIN,
    "base_name_check": ADMIN,
    "dashboard_name": ADMIN,
    "dashboard_certificate": ADMIN,
    "dashboard_confirm": EVERYBODY,
    "login": EVERYBODY,
    "login_code": EVERYBODY,
    "login_passkey": EVERYBODY,
    "passkey_challenge": EVERYBODY,
    "password_forget": EVERYBODY,
    "password_reset": EVERYBODY,
    "logout": SIGNED_IN,
    "reauthenticate": SIGNED_IN,
    "account": SIGNED_IN,
    "session_end": SIGNED_IN,
    "sessions_end": SIGNED_IN,
    "two_factor": SIGNED_IN,
    "totp_add": SIGNED_IN,
    "totp_remove": SIGNED_IN,
    "recovery_codes": SIGNED_IN,
    "passkey_add": SIGNED_IN,
    "passkey_new_options": SIGNED_IN,
    "passkey_remove": SIGNED_IN,
    "account_tokens": SIGNED_IN,
    "account_token_revoke": MINE,
    "tokens": ADMIN,
    "token_revoke": OWNER,
    "theme": SIGNED_IN,
    "shortcuts": SIGNED_IN,
    "users": ADMIN,
    "user": ADMIN,
    "user_deactivate": ADMIN,
    "user_activate": ADMIN,
    "user_delete": ADMIN,
    "invitations": ADMIN,
    "invitation_revoke": ADMIN,
    "invitation": EVERYBODY,
    "invitation_join": EVERYBODY,
    "members": (VIEWER, MANAGER),
    "member_role": MANAGER,
    "member_remove": MANAGER,
    "member_invitation_revoke": MANAGER,
    "project_leave": VIEWER,
    "project_transfer": MANAGER,
    "project_list": SIGNED_IN,
    "project_new": ADMIN,
    "project": VIEWER,
    "project_delete": MANAGER,
    "app_new": DEVELOPER,
    "app": VIEWER,
    "app_environment": VIEWER,
    "variable_save": DEVELOPER,
    "environment_paste": DEVELOPER,
    "variable_reveal": DEVELOPER,
    "variable_delete": DEVELOPER,
    "app_settings": DEVELOPER,
    "app_source": DEVELOPER,
    "app_source_github": DEVELOPER,
    "app_new_github": DEVELOPER,
    "acme": ADMIN,
    "acme_dns": ADMIN,
    "acme_dns_choose": ADMIN,
    "acme_dns_remove": ADMIN,
    "certificate_retry": DEVELOPER,
    "github": ADMIN,
    "github_new": ADMIN,
    "github_made": ADMIN,
    "github_installed": ADMIN,
    "github_refresh": ADMIN,
    "github_delete": ADMIN,
    "github_delivery_list": ADMIN,
    "github_delivery": ADMIN,
    "github_delivery_replay": ADMIN,
    "installation_projects": ADMIN,
    "app_upload": DEVELOPER,
    "registries": (DEVELOPER, MANAGER),
    "registry_test": DEVELOPER,
    "registry_remove": MANAGER,
    "image_check": DEVELOPER,
    "environment_export": DEVELOPER,
    "project_variables": VIEWER,
    "shared_variable_save": DEVELOPER,
    "shared_variable_reveal": DEVELOPER,
    "shared_variable_delete": DEVELOPER,
    "git_token_save": DEVELOPER,
    "deploy_key_make": DEVELOPER,
    "git_credential_remove": DEVELOPER,
    "access_test": DEVELOPER,
    "host_key_ask": DEVELOPER,
    "host_key_confirm": DEVELOPER,
    "host_key_remove": DEVELOPER,
    "volume_add": DEVELOPER,
    "volume_remove": DEVELOPER,
    "host_port_add": DEVELOPER,
    "host_port_remove": DEVELOPER,
    "app_delete": MANAGER,
    "deployment_list": SIGNED_IN,
    "app_deployments": VIEWER,
    "app_deploy": DEVELOPER,
    "app_apply": DEVELOPER,
    "app_stop": DEVELOPER,
    "app_start": DEVELOPER,
    "app_restart": DEVELOPER,
    "app_logs": DEVELOPER,
    "app_logs_chunk": DEVELOPER,
    "app_logs_text": DEVELOPER,
    "deployment": VIEWER,
    "deployment_rollback": DEVELOPER,
    "deployment_pin": DEVELOPER,
    "deployment_cancel": DEVELOPER,
    "deployment_log_text": DEVELOPER,
    "deployment_log_search": DEVELOPER,
    "deployment_log_chunk": DEVELOPER,
    "app_domains": (VIEWER, DEVELOPER),
    "name_check": DEVELOPER,
    "domain": DEVELOPER,
    "domain_move": DEVELOPER,
    "domain_delete": DEVELOPER,
    "app_traffic": (VIEWER, DEVELOPER),
    "domain_traffic": (VIEWER, DEVELOPER),
    "domain_traffic_join": DEVELOPER,
    "traffic_user_remove": DEVELOPER,
    "domain_certificate": DEVELOPER,
    "app_https": DEVELOPER,
    "https_check": DEVELOPER,
    "certificates": (VIEWER, DEVELOPER),
    "certificate_remove": DEVELOPER,
    "certificate_chain": VIEWER,
    "local_authority_root": SIGNED_IN,
    "server": ADMIN,
    "server_data": ADMIN,
    "server_row": ADMIN,
    "app_metrics": VIEWER,
    "app_metrics_data": VIEWER,
    "app_usage": VIEWER,
    "storage": ADMIN,
    "storage_clean": ADMIN,
    "audit": ADMIN,
    "audit_export": ADMIN,
    "project_audit": MANAGER,
    "project_audit_export": MANAGER,
    "webhook": EVERYBODY,
    "github_app_webhook": EVERYBODY,
    "deploy_hook": EVERYBODY,
    "webhook_secret": DEVELOPER,
    "webhook_delete": DEVELOPER,
    "deploy_hook_create": DEVELOPER,
    "deploy_hook_revoke": DEVELOPER,
    "delivery_list": DEVELOPER,
    "delivery": DEVELOPER,
    "delivery_replay": DEVELOPER,
}
ALLOWED = {
    EVERYBODY: set(PEOPLE),
    SIGNED_IN: set(PEOPLE) - {NOBODY, GONE},
    VIEWER: {VIEWER, DEVELOPER, MANAGER, ADMIN, OWNER},
    DEVELOPER: {DEVELOPER, MANAGER, ADMIN, OWNER},
    MANAGER: {MANAGER, ADMIN, OWNER},
    ADMIN: {ADMIN, OWNER},
    OWNER: {OWNER},
    MINE: {OWNER},
}
BY_ROW = {"account_token_revoke", "token_revoke"}
"""Whose row it is only the view can tell, which first says that it knows no DELETE."""
ASKS_FURTHER = (
    "setup", "sample_repository", "invitation", "invitation_join", "session_end", "passkey_remove",
    "webhook", "github_app_webhook", "deploy_hook",
)  # fmt: skip
TO_LOGIN = ("logout", "login_code", "login_passkey")
"""Lead there whoever is not half logged in."""
HIDDEN = {VIEWER, DEVELOPER, MANAGER}
"""What needs a role in the project does not exist for a stranger."""


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
            clients[person].force_login(_person(person, web))
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


def _person(person: str, app: App) -> User:
    role = {ADMIN: InstanceRole.ADMIN, OWNER: InstanceRole.OWNER, GONE: InstanceRole.OWNER}
    user = User.objects.create_user(
        f"{person.replace(' ', '-')}@example.com",
        name=person,
        role=role.get(person, InstanceRole.MEMBER),
    )
    within = {
        VIEWER: ProjectRole.VIEWER,
        DEVELOPER: ProjectRole.DEVELOPER,
        MANAGER: ProjectRole.ADMIN,
    }
    if person in within:
        Membership.objects.create(project=app.project, user=user, role=within[person])
    return user


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


SUDO = {
    "variable_reveal", "variable_delete", "app_delete", "project_delete", "user", "user_activate",
    "user_deactivate", "user_delete", "invitations", "members", "member_role", "member_remove",
    "project_transfer", "totp_add", "totp_remove", "recovery_codes", "passkey_add",
    "passkey_new_options", "passkey_remove", "account_tokens", "shared_variable_reveal",
    "shared_variable_delete", "environment_export", "git_token_save", "deploy_key_make",
    "git_credential_remove",
    "webhook_secret", "deploy_hook_create",
    "acme", "acme_dns", "acme_dns_remove",
    "addresses", "dashboard_name", "github_new", "github_delete", "registries", "registry_remove",
    "certificate_remove",
}  # fmt: skip
"""What nobody does whose password or second factor was given longer ago than 15 minutes: secrets,
deletion, roles."""


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
