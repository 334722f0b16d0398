"""The Django admin shows every model and no secret."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.utils import timezone

from apps.accounts.invitation_services import invitation_create
from apps.accounts.limits import PASSWORD, take
from apps.accounts.models import InstanceRole, User
from apps.api.models import KeptAnswer
from apps.api.services import token_create
from apps.audit.trail import record
from apps.deployments.observation import note_engine
from apps.deployments.services import deployment_request
from apps.domains.acme_models import AcmeSettings, CertificateOrder, DnsAccount
from apps.domains.models import (
    Certificate,
    LocalAuthority,
    LocalCertificate,
    ServedCertificate,
)
from apps.domains.rule_services import user_save
from apps.domains.services import domain_add
from apps.metrics.models import Resolution
from apps.metrics.packing import Point, Sample
from apps.metrics.services import samples_write
from apps.projects.models import App, EnvironmentVariable, Membership, Project
from apps.projects.services import host_port_add, variables_save, volume_add
from apps.projects.shared_services import shared_variable_save
from apps.sources.models import (
    Delivery,
    DeployHook,
    GitCredential,
    GitHubApp,
    GitHubLink,
    GitHubReport,
    ImageCheck,
    Installation,
    KnownHost,
    ManifestRequest,
    RegistryCredential,
    Webhook,
)
from apps.storage.models import CleanUp, Survey

POINT = Point(1, 2, 3, 4, 5, 6, 7)
SECRET = "value-that-nobody-may-see"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    variables_save(app=web, values={"TOKEN": SECRET}, changed_by=alice)
    volume_add(app=web, name="data", path="/data", created_by=alice)
    host_port_add(
        app=web, port=5432, protocol="tcp", container_port=5432, reach="local", created_by=alice
    )
    shared_variable_save(
        project=web.project, name="SHARED", value=SECRET, is_locked=True, changed_by=alice
    )
    deployment_request(app=web, requested_by=alice)
    domain_add(app=web, host="shop.example.com", created_by=alice)
    user_save(app=web, domain=None, name="eve", password=SECRET, by=alice)
    note_engine("The Docker engine does not answer.")
    samples_write(at=15, samples={web.pk: Sample(POINT, POINT)}, resolution=Resolution.FINE)
    CleanUp.objects.create(trigger=CleanUp.Trigger.BUTTON, requested_by=alice)
    Survey.objects.create()
    Membership.objects.create(project=web.project, user=alice)
    invitation_create(email="bob@example.com", role=InstanceRole.MEMBER, by=alice)
    made = token_create(user=alice, name="CI", scopes=["deploy"])
    KeptAnswer.objects.create(token=made.token, key="k", fingerprint="f", status=202, body="{}")
    record("app.update", web)
    fill_certificates(web)
    AcmeSettings.objects.create(pk=AcmeSettings.ONLY, eab_key_id="kid", eab_key=SECRET)
    DnsAccount.objects.create(provider="duckdns", variables=f'{{"DUCKDNS_TOKEN": "{SECRET}"}}')
    CertificateOrder.objects.get_or_create(host="shop.example.com")
    fill_sources(web)
    take((PASSWORD.strangers, "alice@example.com"))
    client.force_login(alice)
    return client


def fill_certificates(web: App) -> None:
    ends = timezone.now()
    Certificate.objects.create(
        project=web.project, names=["a.example"], chain="c", key=SECRET,
        not_before=ends, not_after=ends,
    )  # fmt: skip
    LocalAuthority.objects.create(root="c", key=SECRET)
    LocalCertificate.objects.create(host="a.localhost", chain="c", key=SECRET, not_after=ends)
    ServedCertificate.objects.create(host="a.localhost")


def fill_sources(web: App) -> None:
    project = web.project
    GitCredential.objects.create(app=web, kind="token", secret=SECRET)
    KnownHost.objects.create(project=project, host="git.example.com", key_type="k", key="AAAA")
    RegistryCredential.objects.create(
        project=project, registry="docker.io", username="shop", secret=SECRET
    )
    ImageCheck.objects.create(app=web, image="nginx:1.27")
    hook = Webhook.objects.create(project=project, kind="github", public_id="h", secret=SECRET)
    github = GitHubApp.objects.create(
        name="Mist",
        app_id=1,
        slug="mist",
        public_id="g",
        client_secret=SECRET,
        private_key=SECRET,
        webhook_secret=SECRET,
    )
    installation = Installation.objects.create(
        github_app=github, installation_id=2, account="halden"
    )
    GitHubLink.objects.create(
        app=web, installation=installation, repository_id=3, full_name="halden/web"
    )
    GitHubReport.objects.create(deployment=web.deployments.get())
    ManifestRequest.objects.create(digest=SECRET, user=User.objects.get(), public_id="m")
    Delivery.objects.create(webhook=hook, event="push", body=SECRET.encode())
    DeployHook.objects.create(app=web, name="CI", prefix="mist_abc", digest="d")


def own_models() -> list[tuple[str, str]]:
    return [
        (model._meta.app_label, model._meta.model_name or "")
        for model in apps.get_models()
        if model.__module__.startswith("apps.")
    ]


def test_it_knows_every_model_of_ours() -> None:
    registered = {(m._meta.app_label, m._meta.model_name) for m in admin.site._registry}
    assert set(own_models()) <= registered


@pytest.mark.parametrize(("label", "model"), own_models())
def test_it_shows_lists_and_rows_without_secrets(inside: Client, label: str, model: str) -> None:
    rows = apps.get_model(label, model)._default_manager.all()
    assert rows
    for url in (f"/admin/{label}/{model}/", f"/admin/{label}/{model}/{rows[0].pk}/change/"):
        answer = inside.get(url)
        text = answer.content.decode()
        assert answer.status_code == 200, url
        assert SECRET not in text
        assert EnvironmentVariable.objects.get().value == SECRET


@pytest.mark.parametrize("path", ["deployments/deployment", "projects/app", "domains/domain"])
def test_it_adds_nothing_that_the_pages_would_check(inside: Client, path: str) -> None:
    assert inside.get(f"/admin/{path}/add/").status_code == 403


def test_it_writes_nothing_of_a_deployment(inside: Client) -> None:
    answer = inside.post("/admin/deployments/deployment/1/change/", {"status": "live"})
    assert answer.status_code == 403
    assert inside.get("/admin/deployments/deployment/1/delete/").status_code == 403


def test_it_deletes_an_app_as_its_page_does(inside: Client, web: App) -> None:
    inside.post(f"/admin/projects/app/{web.pk}/delete/", {"post": "yes"})
    web.refresh_from_db()
    assert web.deleted_at is not None
    assert web.needs_apply


def test_it_keeps_a_project_that_has_apps(inside: Client, shop: Project) -> None:
    url = f"/admin/projects/project/{shop.pk}/delete/"
    assert inside.post(url, {"post": "yes"}).status_code == 403
    App.objects.all().delete()
    inside.post(url, {"post": "yes"})
    assert not Project.objects.exists()


def test_it_is_closed_to_who_is_no_administrator(client: Client, db: None) -> None:
    bob = User.objects.create_user("bob@example.com", "correct-horse-battery", name="Bob")
    client.force_login(bob)
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "All data" not in client.get("/account/").content.decode()
