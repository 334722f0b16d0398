"""Fills an empty data directory through the services and the pipeline, as some days of work would.

MIST_DATA_DIR=… MIST_ENGINE=tests.browser.filled python -m tests.browser.fill
"""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Any, cast

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mist_project.settings")
django.setup()

# ruff: noqa: E402
from django.core.management import call_command
from django.utils import timezone

from apps.accounts.invitation_services import invitation_create
from apps.accounts.models import InstanceRole, User
from apps.api.models import ApiToken
from apps.api.services import token_create, token_revoke
from apps.deployments import tasks
from apps.deployments.models import Deployment
from apps.deployments.services import app_stop, deployment_cancel, deployment_request
from apps.domains import serving
from apps.domains.acme_models import CertificateOrder, DnsAccount
from apps.domains.certificate_services import certificate_save, https_change
from apps.domains.models import NameCheck
from apps.domains.rule_services import rules_change, rules_part, user_save
from apps.domains.services import domain_add
from apps.engine.connect import get_engine
from apps.engine.data import ContainerStatus, Outcome
from apps.engine.disk import StoredImage
from apps.engine.errors import BuildFailed
from apps.engine.fake import FakeEngine
from apps.engine.known_hosts import HostKey
from apps.metrics.models import Resolution
from apps.metrics.packing import HOST, Point, Sample
from apps.metrics.services import samples_roll_up, samples_write
from apps.projects.https_models import HttpsBy, OwnHttpsBy
from apps.projects.member_services import member_put
from apps.projects.models import App, Project, ProjectRole
from apps.projects.services import (
    app_create,
    app_update,
    project_create,
    variable_delete,
    variables_save,
)
from apps.projects.shared_services import shared_variable_save
from apps.projects.source_models import PullPolicy, SourceKind
from apps.sources.credential_services import (
    deploy_key_make,
    git_token_save,
    known_host_confirm,
)
from apps.sources.deliveries import (
    Answer,
    Message,
    Origin,
    delivery_refuse,
    delivery_replay,
    delivery_take,
)
from apps.sources.hook_services import deploy_hook_create, webhook_secret_make
from apps.sources.models import Delivery, GitHubApp, Installation
from apps.sources.registry_checks import check_image, try_login
from apps.sources.registry_services import image_check, registry_save
from apps.storage.cleaning import survey
from tests.browser.filled import keep
from tests.browser.serving import PASSWORD
from tests.machine.issuer import DAY, make_authority
from tests.sources.payloads import github_push

VARIABLES = 127


def fill() -> None:
    """Write the day's work. Everything comes from services; only times are set back."""

    engine = cast(FakeEngine, get_engine())
    alice = User.objects.create_superuser("alice@example.com", PASSWORD, name="Alice Archer")
    bob = User.objects.create_superuser("bob@example.com", PASSWORD, name="Bob Baker")
    charlie = User.objects.create_user("charlie@example.com", PASSWORD, name="Charlie Carter")

    def deploy(app: App, message: str, *, by: User = alice, fault: Exception | None = None) -> None:
        engine.git.commit(message)
        deployment_request(app=app, requested_by=by)
        if fault is not None:
            engine.containers.fail("build", fault)
        tasks.run_deployments()

    def app(project: Project, slug: str, **settings: Any) -> App:
        return app_create(
            project=project,
            slug=slug,
            repository=f"https://git.example.com/halden/{project.slug}-{slug}.git",
            created_by=alice,
            port=8000,
            health_path="/healthz",
            **settings,
        )

    shop = project_create(slug="shop", created_by=alice)
    tide = project_create(slug="tidewater", created_by=bob)
    project_create(slug="sandbox", created_by=alice)
    member_put(project=shop, user=charlie, role=ProjectRole.VIEWER, created_by=alice)
    member_put(project=shop, user=bob, role=ProjectRole.ADMIN, created_by=alice)
    member_put(project=tide, user=alice, role=ProjectRole.DEVELOPER, created_by=bob)
    for email in ("dora@example.com", "a-rather-long-name-of-somebody@mail.example.com"):
        invitation_create(
            email=email,
            role=InstanceRole.MEMBER,
            by=alice,
            project=shop,
            project_role=ProjectRole.DEVELOPER,
        )
    web, api, worker = app(shop, "web"), app(shop, "api"), app(shop, "worker")
    notes, docs = app(tide, "notes"), app(tide, "docs")
    app(tide, "new-one")
    app_create(
        project=tide, slug="pushed", repository="", created_by=alice, source_kind=SourceKind.MIST
    )

    variables_save(app=web, values={"API_KEY": "a-hidden-value", "OLD": "1"}, changed_by=bob)
    deploy(web, "First version")
    deploy(web, "Add idempotency keys to refunds", by=bob)
    deploy(
        web,
        "Upgrade Django to 6.0",
        fault=BuildFailed(
            "Build step 4 of 5 failed: pip install -r requirements.txt",
            hint="Look at line 12 of requirements.txt.",
            detail="#8 ERROR: No matching distribution found for django-filter==99",
        ),
    )
    domain_add(app=web, host="shop.example.com", https=HttpsBy.OWN, created_by=alice)
    _ask_issuer(alice)
    _make_rules(web, alice)
    _look_at_names(web, alice)
    _certify(web, alice)
    app_update(app=web, memory_mb=1024)
    share = partial(shared_variable_save, project=web.project, changed_by=alice)
    share(name="DATABASE_PASSWORD", value="a-shared-value", is_locked=False)
    share(name="SIGNING_KEY", value="a-locked-value", is_locked=True)
    values = {
        "API_KEY": "another",
        "GREETING": "hi",
        "DATABASE_URL": "postgres://shop:${{ project.DATABASE_PASSWORD }}@db:5432/shop",
    }
    variables_save(app=web, values=values, changed_by=alice)
    variables_save(app=web, values={"TOKEN": "never-again"}, changed_by=alice, is_locked=True)
    variable_delete(variable=web.variables.get(name="OLD"))

    _hear(web, alice)

    many = {f"SETTING_NUMBER_{n:03}": "value" * n for n in range(VARIABLES)}
    variables_save(app=api, values=many, changed_by=alice)
    for number in range(24):
        deploy(api, f"Change number {number}", by=(alice, bob)[number % 2])
    app_update(app=worker, port=None, health_check="up", health_up_seconds=1)
    deploy(worker, "Run jobs in order")
    app_stop(app=worker)
    deploy(docs, "Publish the handbook", by=bob)
    app_update(
        app=notes,
        release_command="python manage.py migrate",
        post_deploy_command="sh -c './warm --all'",
    )
    engine.containers.outcomes = [Outcome(0), Outcome(4)]
    deploy(notes, "Accept HEIC uploads", by=bob)
    tasks.apply_wishes()
    App.objects.filter(pk=notes.pk).update(wanted=App.Wanted.RUNNING)
    _crash(engine, notes.pk)

    _make_images(engine, shop, tide, alice)
    _make_tokens(alice, bob, shop)
    _open_repositories(web, worker, bob)
    (engine.config.data_dir / "hold").touch()
    engine.git.commit("Move PDF rendering to Chromium")
    deployment_request(app=docs, requested_by=alice)
    deployment_cancel(deployment=deployment_request(app=worker, requested_by=bob), by=bob)
    _leave_litter(engine)
    _set_back()
    _measure(web, notes)
    survey()
    keep(engine)


def _look_at_names(app: App, by: User) -> None:
    """Names whose DNS is right, wrong and yet to be asked for."""
    server, now = ["203.0.113.7"], timezone.now()
    found: dict[str, dict[str, object]] = {
        "shop.example.com": {"state": "here", "addresses": server},
        "*.shop.example.com": {"state": "proxied", "addresses": ["104.16.1.1", "2606:4700::1"]},
        "www.example.com": {"state": "elsewhere", "addresses": ["198.51.100.9"],
                            "wrong": ["198.51.100.9"], "ttl": 3600},
        "an-old-name.tidewater-harbour.example": {
            "state": "partly", "addresses": [*server, "2001:db8:9:8:7:6:5:4"],
            "wrong": ["2001:db8:9:8:7:6:5:4"], "caa": "forbids",
            "caa_at": "tidewater-harbour.example", "zone": "tidewater-harbour.example",
        },
        "pay.example.com": {},
    }  # fmt: skip
    for host, fields in found.items():
        if host != "shop.example.com":
            domain_add(app=app, host=host, created_by=by)
        if fields:
            since = None if fields["state"] in ("here", "proxied") else now
            more = {"checked_at": now, "asked_at": None, "expected": server, "wrong_since": since}
            checks = NameCheck.objects.filter(host=host)
            checks.update(zone="example.com", next_at=now + dt.timedelta(days=1))
            checks.update(**more, **fields)


def _open_repositories(web: App, worker: App, by: User) -> None:
    """One by a token, one by a key at a server that somebody has confirmed."""
    git_token_save(app=web, username="ci", token="never-shown-again", saved_by=by)
    App.objects.filter(pk=worker.pk).update(
        repository="ssh://git@git.example.com:2222/halden/shop-worker.git"
    )
    deploy_key_make(app=worker, made_by=by)
    key = HostKey("git.example.com", 2222, "ssh-ed25519", "AAAA" * 17)
    known_host_confirm(project=web.project, keys=[key], confirmed_by=by)


def _certify(web: App, alice: User) -> None:
    """Names with every kind of certificate, as they are seen."""
    add = partial(domain_add, app=web, created_by=alice)
    own = make_authority("Corner Shop root", organisation="Corner Shop")
    add(host="www.shop.example.com", https=HttpsBy.OWN, redirects=True)
    add(host="a-rather-long-name-of-a-customer.shop.example.com")
    add(host="plain.example.com", https=HttpsBy.OFF)
    add(host="*.preview.example.com", https=HttpsBy.OWN)
    for names, days in (
        (("shop.example.com",), 60),
        (("www.shop.example.com", "b.example.com"), 9),
    ):
        pair = own.chained(*names, ends=days * DAY)
        certificate_save(project=web.project, chain=pair.chain, key=pair.key, created_by=alice)
    https_change(app=web, own_https=OwnHttpsBy.SELF)
    serving.settle()


def _ask_issuer(by: User) -> None:
    """One name whose certificate was refused, and credentials for wildcards."""
    CertificateOrder.objects.update_or_create(
        host="docs.example.com",
        defaults={
            "state": CertificateOrder.State.FAILED,
            "failures": 1,
            "kind": "connection",
            "detail": "docs.example.com: acme: error: 400 :: urn:ietf:params:acme:error:connection "
            ":: 192.0.2.9: Fetching http://docs.example.com/.well-known/acme-challenge/…: "
            "Timeout during connect (likely firewall problem)",
            "failed_at": timezone.now(),
            "next_at": timezone.now() + dt.timedelta(minutes=5),
        },
    )
    account = DnsAccount(pk=1, provider="cloudflare", zones="example.com", created_by=by)
    account.values = {"CF_DNS_API_TOKEN": "nothing-of-worth"}
    account.save()


def _hear(app: App, by: User) -> None:
    """What a Git host told, and what else may deploy."""
    webhook = webhook_secret_make(project=app.project, kind="github", by=by).webhook
    github_app = GitHubApp.objects.create(name="Mist", app_id=1, slug="mist", public_id="p")
    Installation.objects.create(github_app=github_app, installation_id=1, account="corner-shop")
    outcome = Delivery.Outcome
    of_webhook = Origin(webhook=webhook)

    def hear(event: str, answer: Answer, origin: Origin = of_webhook) -> Delivery:
        text = json.dumps(github_push(message="Add idempotency keys to refunds", number=4711))
        message = Message(event, f"72d3162e-cc78-11e3-81ab-{len(answer.words):012x}", text)
        return delivery_take(origin=origin, message=message, carry_out=lambda: answer)

    hear("push", Answer(outcome.DEPLOYED, "deployed shop/web #2\ndeployed shop/api #24"))
    hear("push", Answer(outcome.IGNORED, "ignored shop/web: branch is not main"))
    ping = hear("ping", Answer(outcome.DONE, "the host can reach Mist"))
    delivery_refuse(origin=of_webhook, event="push", delivery_id="", words="bad signature")
    delivery_replay(delivery=ping, by=by)
    of_app = Origin(github_app=github_app)
    hear("push", Answer(outcome.DEPLOYED, "deployed tide/tables #3"), of_app)
    hear("ping", Answer(outcome.DONE, "the host can reach Mist"), of_app)
    deploy_hook_create(app=app, name="Nightly build", created_by=by)


def _make_images(engine: FakeEngine, shop: Project, tide: Project, alice: User) -> None:
    """An app that is a ready image whose tag has moved, and logins that work and do not."""
    name = "ghcr.io/halden/tide-tables:2.4"
    gate = app_create(
        project=tide,
        slug="tide-tables",
        repository="",
        created_by=alice,
        source_kind=SourceKind.IMAGE,
        image_name=name,
        pull_policy=PullPolicy.ALWAYS,
    )
    for content in ("January", "February"):
        engine.containers.publish(name, content)
        deployment_request(app=gate, requested_by=alice)
        tasks.run_deployments()
    deployment_request(app=gate, requested_by=alice, ref="2.5")
    tasks.run_deployments()
    engine.containers.publish(name, "March")
    image_check(app=gate)
    check_image(gate.pk)
    engine.containers.logins["ghcr.io"] = ("halden-ci", PASSWORD)
    for registry, user in (("ghcr.io", "halden-ci"), ("registry.halden.example:5000", "robin")):
        made = registry_save(
            project=shop, registry=registry, username=user, password=PASSWORD, created_by=alice
        )
        engine.containers.logins["registry.halden.example:5000"] = ("somebody", "else")
        try_login(made.pk)


def _make_tokens(alice: User, bob: User, shop: Project) -> None:
    """One of each kind; the first is alice's, the second bob's."""
    now = timezone.now()
    soon, past = now + dt.timedelta(days=90), now - dt.timedelta(days=2)
    ci = token_create(
        user=alice, name="CI of shop/web", scopes=["deploy"], project=shop, expires_at=soon
    )
    ApiToken.objects.filter(pk=ci.token.pk).update(
        last_used_at=now - dt.timedelta(minutes=7), last_used_address="2001:db8:85a3::8a2e:370:7334"
    )
    token_create(user=bob, name="Laptop", scopes=["deploy", "write", "admin"])
    token_create(user=alice, name="Status board in the hall", scopes=[], expires_at=past)
    gone = token_create(user=alice, name="Old runner", scopes=["deploy"], expires_at=soon)
    token_revoke(token=gone.token, by=alice)


def _leave_litter(engine: FakeEngine) -> None:
    """What a clean-up would remove, after one that has."""
    call_command("cleanup", stdout=io.StringIO())
    labels = {"mist.instance": engine.config.instance, "mist.name": "shop/web"}
    engine.containers.others = [StoredImage("sha256:" + "5" * 64, labels=labels, size=90_000_000)]
    (engine.config.data_dir / "builds" / "9999").mkdir(parents=True)
    engine.containers.cache = 9_000_000_000


def _crash(engine: FakeEngine, app: int) -> None:
    """Its container ends as the kernel ends one that takes too much memory."""

    for pk, container in engine.containers.all.items():
        if container.labels.get("mist.app") == str(app):
            engine.containers.all[pk] = replace(
                container, status=ContainerStatus.EXITED, exit_code=137, out_of_memory=True
            )


def _make_rules(web: App, alice: User) -> None:
    """Of the app, and of a domain of its own."""
    for name in ("alice", "press"):
        user_save(app=web, domain=None, name=name, password="a-hidden-value", by=alice)
    rules_change(
        app=web,
        domain=None,
        allowed_networks=["203.0.113.0/24", "2001:db8::/32"],
        rate_average=100,
        rate_period_seconds=60,
        rate_burst=200,
        body_limit_mb=50,
        headers=[["X-Frame-Options", "DENY"], ["X-Powered-By", ""]],
    )
    docs = domain_add(app=web, host="docs.example.com", path="/guide", created_by=alice)
    rules_part(domain=docs)


def _set_back() -> None:
    """Spread what was done within a second over some days."""

    now = timezone.now()
    rows = list(Deployment.objects.order_by("-id"))
    for place, deployment in enumerate(rows):
        back = dt.timedelta(minutes=2 + 17 * place * place)
        for name, extra in (("created_at", 0), ("started_at", 2), ("finished_at", 74 + place)):
            if getattr(deployment, name) is not None:
                setattr(deployment, name, now - back + dt.timedelta(seconds=extra))
    Deployment.objects.bulk_update(rows, ["created_at", "started_at", "finished_at"])


def _measure(*apps: App) -> None:
    """The numbers of ten minutes, so that charts are there from the first page on: one that comes
    before its first numbers loads itself again when they are there."""
    busy = Point(2_500, 104_448, 1_258_291, 3_565_158, 0, 4_096, 12)
    samples = {HOST: Sample(busy, busy), **{app.pk: Sample(busy, busy) for app in apps}}
    now = int(time.time()) // 15 * 15
    for at in range(now - 600, now + 1, 15):
        samples_write(at=at, samples=samples, resolution=Resolution.FINE)
    samples_roll_up(now=now)


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    if "--empty" not in sys.argv:
        fill()
