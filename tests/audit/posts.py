"""Every POST that people may send, what has to be there before, and the events that it leaves."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.tokens import default_token_generator
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts.invitation_services import Invited, invitation_create
from apps.accounts.models import InstanceRole, User
from apps.api.services import token_create
from apps.deployments.services import app_stop, deployment_request
from apps.domains.acme_models import CertificateOrder, DnsAccount
from apps.domains.certificate_services import certificate_save
from apps.domains.models import Domain, ServedCertificate
from apps.domains.rule_services import rules_part, user_save
from apps.projects.forms import AppForm
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.shared_services import shared_variable_save
from apps.projects.source_models import SourceKind
from apps.sources.credential_services import deploy_key_make
from apps.sources.hook_services import deploy_hook_create, webhook_secret_make
from apps.sources.models import (
    Delivery,
    GitHubApp,
    Installation,
    KnownHost,
    RegistryCredential,
    Webhook,
)
from apps.system.names import keep_names
from apps.system.services import setup_token
from tests.access.table import HOST_KEY
from tests.accounts.factors import code_of, secret_on, with_app
from tests.conftest import PASSWORD
from tests.deployments.test_deployment_run import deploy
from tests.machine.issuer import self_signed
from tests.sources.payloads import kept_push

SECRET = "hunter2-and-a-half"
APP = {"project": "shop", "app": "web"}
ONE = {**APP, "pk": 1}
LIVE = {**APP, "number": 1}


@dataclass(frozen=True)
class Post:
    """One request that succeeds, and the events that it leaves."""

    leaves: tuple[str, ...]
    thing: str = ""
    at: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    first: Callable[[App], object] | None = None
    """What has to be done before it."""
    asked: Callable[[Client], dict[str, Any]] | None = None
    """What is typed besides, once a page was looked at."""


def form_of_settings(**changes: object) -> dict[str, Any]:
    """The settings form as the page sends it, with these changes."""
    names = [name for name in AppForm.base_fields if name != "slug"]
    values = {name: getattr(App.objects.get(slug="web"), name) for name in names}
    return {name: "" if value is None else value for name, value in (values | changes).items()}


def _archive() -> dict[str, Any]:
    """A form with an archive, for an app that takes one."""
    App.objects.filter(slug="web").update(source_kind=SourceKind.MIST)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("Dockerfile", "FROM scratch\n")
    return {"archive": SimpleUploadedFile("shop.zip", packed.getvalue())}


def nobody_yet(app: App) -> None:
    User.objects.all().delete()


def _with_key(app: App) -> None:
    deploy_key_make(app=app, made_by=None)


def _over_ssh(app: App) -> None:
    App.objects.filter(pk=app.pk).update(repository="git@git.example.com:shop/web.git")


def _with_known_host(app: App) -> None:
    KnownHost.objects.create(
        project=app.project, host="git.example.com", key_type="ssh-ed25519", key=HOST_KEY
    )


def _no_apps(app: App) -> None:
    App.objects.all().delete()


def _waits(app: App) -> None:
    deployment_request(app=app, requested_by=None)


def _bob(**fields: Any) -> User:
    return User.objects.create_user("bob@example.com", name="Bob", **fields)


def _member(role: ProjectRole = ProjectRole.VIEWER) -> Membership:
    return Membership.objects.create(project=Project.objects.get(), user=_bob(), role=role)


def _alice_too(app: App) -> None:
    bob = _member(ProjectRole.ADMIN).user
    app.project.owner = bob
    app.project.save()
    alice = User.objects.get(name="Alice Archer")
    Membership.objects.create(project=app.project, user=alice, role=ProjectRole.ADMIN)


def _invited(project: Project | None = None, email: str = "dora@example.com") -> Invited:
    return invitation_create(
        email=email,
        role=InstanceRole.MEMBER,
        by=None,
        project=project,
        project_role=ProjectRole.VIEWER if project else None,
    )


def _token() -> object:
    return token_create(user=User.objects.get(), name="CI", scopes=("read",))


def _shared() -> object:
    return shared_variable_save(
        project=Project.objects.get(), name="SHARED", value=SECRET, is_locked=False, changed_by=None
    )


def _registry() -> int:
    made = RegistryCredential.objects.create(
        project=Project.objects.get(), registry="ghcr.io", username="bob", secret=SECRET
    )
    return int(made.pk)


def _is_image(app: App) -> None:
    App.objects.filter(pk=app.pk).update(source_kind="image", image_name="nginx:1.27")


def _alice() -> User:
    return User.objects.get(name="Alice Archer")


def _uid() -> str:
    return urlsafe_base64_encode(force_bytes(_alice().pk))


def _follow_link(client: Client) -> dict[str, Any]:
    token = default_token_generator.make_token(_alice())
    client.get(reverse("password_reset", args=[_uid(), token]))
    return {"password": f"{SECRET}-of-many-words"}


def _elsewhere() -> int:
    """One more session of hers."""
    Client().force_login(_alice())
    newest: int = UserSession.objects.order_by("-pk").values_list("pk", flat=True)[0]
    return newest


def _first_code(client: Client) -> dict[str, Any]:
    return {"code": code_of(secret_on(client.get(reverse("totp_add")).content.decode()))}


def _passkey() -> int:
    kind = Authenticator.Type.WEBAUTHN
    data = {"name": "Laptop", "credential": {}}
    return int(Authenticator.objects.create(user=_alice(), type=kind, data=data).pk)


def _webhook(app: App) -> Webhook:
    return webhook_secret_make(project=app.project, kind="github", by=None).webhook


def _delivery(app: App) -> object:
    body = zlib.compress(b"{}")
    return Delivery.objects.create(
        webhook=_webhook(app), event="ping", delivery_id="72d3162e", body=body
    )


def _deploy_hook(app: App) -> object:
    return deploy_hook_create(app=app, name="Nightly build", created_by=None)


def _installed() -> GitHubApp:
    made = GitHubApp.objects.create(
        name="Mist", app_id=1, slug="mist", public_id="p", api_url="http://127.0.0.1:9"
    )
    Installation.objects.create(github_app=made, installation_id=1, account="halden")
    return made


def _told() -> dict[str, object]:
    made = Delivery.objects.create(
        github_app=_installed(), event="push", delivery_id="72d3162e", body=kept_push()
    )
    return {"github_app": made.github_app_id, "delivery": made.pk}


def _with_served(app: App) -> None:
    later = timezone.now() + dt.timedelta(days=1)
    ServedCertificate.objects.create(host=app.host, next_look_at=later)


def _with_certificate(app: App) -> None:
    certificate_save(project=app.project, **vars(self_signed("a.example")), created_by=None)


NOTHING = ()
POSTS: dict[str, Post | Callable[[], Post]] = {
    "demo_start": Post(
        ("project.create", "app.create", "deployment.request"), "demo/hello #1"
    ),
    "setup": lambda: Post(
        ("instance.claim", "user.login"), "zoe@example.com", {"token": setup_token()},
        {"email": "zoe@example.com", "name": "Zoe", "password": PASSWORD + SECRET}, nobody_yet,
    ),
    "account": Post(("user.update",), "alice@example.com", data={"form": "name", "name": "Alice B"}),
    "project_new": Post(("project.create",), "depot", data={"slug": "depot"}),
    "project_delete": Post(("project.delete",), "shop", {"project": "shop"}, first=_no_apps),
    "app_new": lambda: Post(
        ("app.create",), "shop/api", {"project": "shop"}, form_of_settings() | {"slug": "api"}
    ),
    "variable_save": Post(
        ("variable.create",), "shop/web TOKEN", APP,
        {"name": "TOKEN", "value": SECRET, "at_runtime": "on"},
    ),
    "environment_paste": Post(
        ("variable.create", "variable.change"), "shop/web KEY", APP,
        {"text": f"TOKEN={SECRET}\nKEY={SECRET}"},
    ),
    "variable_reveal": Post(("variable.reveal",), "shop/web KEY", ONE),
    "variable_delete": Post(("variable.delete",), "shop/web KEY", ONE),
    "app_settings": lambda: Post(
        ("app.update",), "shop/web", APP, form_of_settings(memory_mb=256)
    ),
    "app_upload": lambda: Post(("deployment.request",), "shop/web #2", APP, _archive()),
    "app_source": lambda: Post(("app.update",), "shop/web", APP, form_of_settings(branch="next")),
    "git_token_save": Post(("git_token.save",), "shop/web", APP, {"token": SECRET}),
    "deploy_key_make": Post(("deploy_key.make",), "shop/web", APP),
    "git_credential_remove": Post(("git_credential.remove",), "shop/web", APP, first=_with_key),
    "access_test": Post((), at=APP),
    "host_key_ask": Post((), at=APP, first=_over_ssh),
    "host_key_confirm": Post(
        ("known_host.confirm",), "shop git.example.com:22", APP,
        {"lines": f"git.example.com ssh-ed25519 {HOST_KEY}"}, _over_ssh,
    ),
    "host_key_remove": Post(
        ("known_host.remove",), "shop git.example.com:22", ONE, first=_with_known_host
    ),
    "volume_add": Post(
        ("volume.add",), "shop/web more", APP, {"name": "more", "path": "/more"}
    ),
    "volume_remove": Post(("volume.remove",), "shop/web data", ONE),
    "host_port_add": Post(
        ("host_port.add",), "shop/web 25566/tcp", APP,
        {"port": "25566", "protocol": "tcp", "container_port": "1", "reach": "local"},
    ),
    "host_port_remove": Post(("host_port.remove",), "shop/web 25565/tcp", ONE),
    "app_delete": Post(("app.delete",), "shop/web", APP, {"confirm": "shop/web"}),
    "app_deploy": Post(("deployment.request",), "shop/web #2", APP),
    "app_apply": Post(("deployment.apply",), "shop/web #2", APP),
    "app_stop": Post(("app.stop",), "shop/web", APP),
    "app_start": Post(
        ("app.start",), "shop/web", APP, first=lambda app: app_stop(app=app)
    ),
    "app_restart": Post(("app.restart",), "shop/web", APP),
    "deployment_rollback": Post(("deployment.rollback",), "shop/web #3", LIVE, first=deploy),
    "deployment_pin": Post(("deployment.pin",), "shop/web #1", LIVE, {"pinned": "on"}),
    "deployment_cancel": Post(
        ("deployment.cancel",), "shop/web #2", {**APP, "number": 2}, first=_waits
    ),
    "app_domains": Post(
        ("domain.add",), "shop/web new.example.com", APP, {"host": "new.example.com"}
    ),
    "addresses": Post(
        ("base_domain.change",), "apps.example.net", data={"base_domain": "apps.example.net"}
    ),
    "dashboard_name": Post(
        ("dashboard_name.try",), "mist.example.net", data={"host": "mist.example.net"}
    ),
    "dashboard_certificate": Post(
        ("certificate.retry",), "mist.example.net", data={"host": "mist.example.net"},
        first=lambda web: (
            keep_names(dashboard="mist.example.net"),
            CertificateOrder.objects.create(host="mist.example.net", state="failed"),
        ),
    ),
    "base_name_check": Post(
        ("name.check",), "*.apps.example.net",
        first=lambda web: keep_names(base_domain="apps.example.net"),
    ),
    "name_check": Post(
        ("name.check",), "shop/web shop.example.com", APP, {"host": "shop.example.com"}
    ),
    "domain": Post(
        ("domain.change",), "shop/web shop.example.com/api", ONE, {"path": "/api"}
    ),
    "domain_move": lambda: Post(
        ("domain.move",), "shop/other shop.example.com", ONE,
        {"to": App.objects.create(project=App.objects.get().project, slug="other", label="o").pk},
    ),
    "app_traffic": Post(
        ("traffic_user.add",), "shop/web eve", APP,
        {"rule": "user", "name": "eve", "password": SECRET},
    ),
    "domain_traffic": Post(("traffic.part",), "shop/web shop.example.com", ONE, {"rule": "own"}),
    "domain_traffic_join": Post(
        ("traffic.join",), "shop/web shop.example.com", ONE,
        first=lambda app: rules_part(domain=Domain.objects.get()),
    ),
    "traffic_user_remove": Post(
        ("traffic_user.remove",), "shop/web eve", ONE,
        first=lambda app: user_save(app=app, domain=None, name="eve", password=SECRET, by=None),
    ),
    "domain_delete": Post(("domain.remove",), "shop/web shop.example.com", ONE),
    "domain_certificate": lambda: Post(
        ("certificate.add", "domain.change"), "shop/web shop.example.com", ONE,
        vars(self_signed("shop.example.com")),
    ),
    "app_https": Post(
        ("app.https",), "shop/web", APP,
        {"https_redirect": "off", "tls_minimum": "1.3", "hsts_seconds": "0"},
    ),
    "https_check": Post(("app.check_https",), "shop/web", APP, first=_with_served),
    "certificates": lambda: Post(
        ("certificate.add",), "a.example", {"project": "shop"}, vars(self_signed("a.example"))
    ),
    "certificate_remove": Post(
        ("certificate.remove",), "a.example", {"project": "shop", "pk": 1}, first=_with_certificate
    ),
    "storage_clean": Post(("clean_up.request",), "Clean-up 1"),
    "audit_export": Post(("audit.export",), "this Mist", data={"format": "csv"}),
    "project_audit_export": Post(
        ("audit.export",), "shop", {"project": "shop"}, {"format": "json"}
    ),
    # People, invitations, tokens and shared variables.
    "user": lambda: Post(
        ("user.update",), "bob@example.com", {"user": _bob().pk}, {"name": "Bob Baker", "role": "admin"}
    ),
    "user_deactivate": lambda: Post(("user.deactivate",), "bob@example.com", {"user": _bob().pk}),
    "user_activate": lambda: Post(
        ("user.activate",), "bob@example.com", {"user": _bob(is_active=False).pk}
    ),
    "user_delete": lambda: Post(("user.delete",), "bob@example.com", {"user": _bob().pk}, {"heir": "alice@example.com"}),
    "invitations": Post(
        ("invitation.create",), "", data={"email": "dora@example.com", "role": "member"}
    ),
    "invitation_revoke": lambda: Post(
        ("invitation.revoke",), "", {"invitation": _invited().invitation.pk}
    ),
    "member_invitation_revoke": lambda: Post(
        ("invitation.revoke",), "",
        {"project": "shop", "invitation": _invited(Project.objects.get()).invitation.pk},
    ),
    "members": lambda: Post(
        ("member.add",), _bob().email, {"project": "shop"},
        {"email": "bob@example.com", "role": "viewer"},
    ),
    "member_role": lambda: Post(
        ("member.change",), "", {"project": "shop", "member": _member().pk},
        {"role": "developer"},
    ),
    "member_remove": lambda: Post(
        ("member.remove",), "", {"project": "shop", "member": _member().pk}
    ),
    "project_leave": lambda: Post(
        ("member.leave",), "", {"project": "shop"}, first=_alice_too
    ),
    "project_transfer": lambda: Post(
        ("project.transfer",), "shop", {"project": "shop"},
        {"email": _member(ProjectRole.ADMIN).user.email},
    ),
    "account_tokens": Post(
        ("token.create",), "", data={"name": "CI", "scopes": ["deploy"], "expires": "30"}
    ),
    "account_token_revoke": Post(("token.revoke",), "", {"pk": 1}, first=lambda app: _token()),
    "token_revoke": Post(("token.revoke",), "", {"pk": 1}, first=lambda app: _token()),
    "shared_variable_save": Post(
        ("shared_variable.create",), "TOKEN", {"project": "shop"},
        {"name": "TOKEN", "value": SECRET},
    ),
    "shared_variable_reveal": Post(
        ("shared_variable.reveal",), "", {"project": "shop", "pk": 1}, first=lambda app: _shared()
    ),
    "shared_variable_delete": Post(
        ("shared_variable.delete",), "", {"project": "shop", "pk": 1}, first=lambda app: _shared()
    ),
    "invitation_join": lambda: Post(
        ("invitation.accept",), "", {},
        {"token": _invited(email="alice@example.com").link.rstrip("/").rpartition("/")[2]},
    ),
    "registries": Post(
        ("registry.add", "registry.test"), "ghcr.io in shop", {"project": "shop"},
        {"registry": "ghcr.io", "username": "bob", "password": SECRET},
    ),
    "registry_test": lambda: Post(
        ("registry.test",), "ghcr.io in shop", {"project": "shop", "pk": _registry()}
    ),
    "registry_remove": lambda: Post(
        ("registry.remove",), "ghcr.io in shop", {"project": "shop", "pk": _registry()}
    ),
    "image_check": Post(("image.check",), "shop/web", APP, first=_is_image),
    "environment_export": Post(("environment.export",), "shop/web", APP),
    "webhook_secret": Post(("webhook.create",), "GitLab webhook of shop", {**APP, "kind": "gitlab"}),
    "webhook_delete": Post(
        ("webhook.delete",), "GitHub webhook of shop", {**APP, "kind": "github"}, first=_webhook
    ),
    "deploy_hook_create": Post(("deploy_hook.create",), "", APP, {"name": "Nightly build"}),
    "deploy_hook_revoke": Post(("deploy_hook.revoke",), "", ONE, first=_deploy_hook),
    "delivery_replay": Post(
        ("delivery.replay",), "ping 72d3162e", {"project": "shop", "pk": 1}, first=_delivery
    ),
    "github_delivery_replay": lambda: Post(
        ("delivery.replay",), "push 72d3162e", _told()
    ),
    # Whoever knows no secret is told that there is nothing; what the others leave say the tests of
    # sources.
    "webhook": Post(NOTHING, at={"kind": "github", "public_id": "nothing"}),
    "github_app_webhook": Post(NOTHING, at={"public_id": "nothing"}),
    "deploy_hook": Post(NOTHING, at={"secret": "nothing"}),
    "acme": Post(
        ("acme.change",), "Certificates",
        data={"issuer": "https://acme-v02.api.letsencrypt.org/directory", "challenge": "tls",
              "lifetime_hours": "2160", "eab_key_id": "kid", "eab_key": SECRET},
    ),
    "acme_dns": Post(
        ("dns_account.add",), "Cloudflare", {"provider": "cloudflare"}, {"cf_dns_api_token": SECRET}
    ),
    "acme_dns_remove": lambda: Post(
        ("dns_account.remove",), "Duck DNS",
        {"pk": DnsAccount.objects.create(provider="duckdns", variables="{}").pk},
    ),
    "certificate_retry": Post(
        ("certificate.retry",), "shop.example.com", APP, {"host": "shop.example.com"},
        first=lambda app: CertificateOrder.objects.update_or_create(
            host="shop.example.com", defaults={"state": "failed"}
        ),
    ),
    "github_new": Post(("github_app.begin",), "Mist", data={"name": "Mist"}),
    "github_delete": lambda: Post(("github_app.delete",), "Mist", {"pk": _installed().pk}),
    # GitHub does not answer here; what it says is in the tests of installations.
    "github_refresh": lambda: Post(NOTHING, at={"pk": _installed().pk}),
    "installation_projects": lambda: Post(
        ("installation.open",), "halden (Mist)", {"pk": _installed().installations.get().pk},
        {"projects": [Project.objects.get().pk]},
    ),
    # Which repositories there are GitHub says: their own tests have one.
    "app_new_github": Post(NOTHING, at={"project": "shop"}),
    "app_source_github": Post(NOTHING, at=APP),
    # What a person sees, not what Mist does: no change of anything that others share.
    "theme": Post(NOTHING, data={"theme": "dark"}),
    "shortcuts": Post(NOTHING, data={"shortcuts": "on"}),
    # Read by Git with POST.
    "sample_repository": Post(NOTHING, at={"name": "hello", "rest": "git-upload-pack"}),
    # Signing in and out. Who is in already is led on; what a stranger's log-in leaves, and a
    # passkey's, which takes a browser, the tests of accounts say.
    "login": Post(NOTHING, data={"email": "alice@example.com", "password": PASSWORD}),
    "login_code": Post(NOTHING),
    "login_passkey": Post(NOTHING),
    "passkey_challenge": Post(NOTHING),
    "passkey_new_options": Post(NOTHING),
    "passkey_add": Post(NOTHING),
    "reauthenticate": Post(NOTHING, data={"password": PASSWORD}),
    "password_forget": Post(NOTHING, data={"email": "alice@example.com"}),
    "password_reset": lambda: Post(
        ("password.reset", "session.end"), "alice@example.com", {"uid": _uid(), "token": "set"}, asked=_follow_link
    ),
    "logout": Post(("user.logout",), "Alice Archer"),
    "session_end": lambda: Post(("session.end",), "Alice Archer", {"pk": _elsewhere()}),
    "sessions_end": lambda: Post(("session.end",), "Alice Archer", first=lambda app: _elsewhere()),
    "totp_add": Post(
        ("second_factor.add", "recovery_codes.make"), "Alice Archer", asked=_first_code
    ),
    "totp_remove": Post(("second_factor.remove",), "Alice Archer", first=lambda app: with_app(_alice())),
    "passkey_remove": lambda: Post(
        ("second_factor.remove",), "Alice Archer", {"pk": _passkey()}
    ),
    "recovery_codes": Post(("recovery_codes.make",), "Alice Archer", first=lambda app: with_app(_alice())),
}  # fmt: skip
