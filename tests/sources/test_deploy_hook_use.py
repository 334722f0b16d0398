"""An address whose POST deploys an app: what it does, who may use it, and that its secret is nowhere."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from typing import Any

import pytest
from django.conf import settings as current
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.api.secrets import digest_of, looks_like_secret
from apps.audit.models import ActorKind, AuditEvent
from apps.deployments.models import Deployment
from apps.projects.models import App
from apps.sources.hook_services import (
    NewDeployHook,
    deploy_hook_create,
    deploy_hook_revoke,
)
from apps.sources.models import DeployHook
from apps.sources.secrets import looks_like_hook_secret
from apps.sources.webhooks import DEPLOYS


@pytest.fixture
def hook(web: App, alice: User) -> NewDeployHook:
    return deploy_hook_create(app=web, name="Nightly build", created_by=alice)


def use(hook: NewDeployHook, **more: Any) -> Any:
    return Client(enforce_csrf_checks=True).post(f"/hooks/deploy/{hook.secret}", **more)


def test_it_deploys_the_branch(hook: NewDeployHook, settings: Settings) -> None:
    settings.MIST_URL = "https://mist.example.com"
    answer = use(hook)
    assert answer.status_code == 202
    assert json.loads(answer.content) == {
        "app": "shop/web",
        "deployment": 1,
        "status": "queued",
        "url": "https://mist.example.com/projects/shop/apps/web/deployments/1/",
    }
    made = Deployment.objects.get()
    assert (made.trigger, made.ref, made.commit, made.requested_by) == ("hook", "main", "", None)
    assert DeployHook.objects.get().last_used_at is not None
    event = AuditEvent.objects.get(action="deployment.request")
    assert event.actor_kind == ActorKind.WEBHOOK
    assert event.actor_name.startswith("Deploy hook Nightly build (mist_hook_")


def test_it_deploys_an_app_that_pushes_do_not(hook: NewDeployHook) -> None:
    App.objects.update(auto_deploy=False)
    assert use(hook).status_code == 202


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\x00", b"x" * 100_000])
def test_what_is_sent_along_does_not_matter(body: bytes, hook: NewDeployHook) -> None:
    assert use(hook, data=body, content_type="text/plain").status_code == 202


def test_an_app_may_have_several_of_which_one_is_revoked(hook: NewDeployHook, web: App) -> None:
    other = deploy_hook_create(app=web, name="Other", created_by=None)
    deploy_hook_revoke(hook=hook.hook)
    gone = use(hook)
    assert gone.status_code == 404
    assert gone.content == Client().post("/hooks/deploy/nothing").content
    assert use(other).status_code == 202
    actions = AuditEvent.objects.filter(thing_type="deployhook").order_by("id")
    assert list(actions.values_list("action", flat=True)) == [
        "deploy_hook.create", "deploy_hook.create", "deploy_hook.revoke",
    ]  # fmt: skip


def test_that_of_a_deleted_app_is_gone(hook: NewDeployHook) -> None:
    App.objects.update(deleted_at="2026-01-01T00:00:00Z")
    assert use(hook).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_but_post_deploys(method: str, hook: NewDeployHook) -> None:
    answer = Client().generic(method, f"/hooks/deploy/{hook.secret}")
    assert answer.status_code == 405
    assert not Deployment.objects.exists()


def test_it_is_used_only_so_often(hook: NewDeployHook, web: App, time_machine: Any) -> None:
    time_machine.move_to("2026-12-01 12:00Z", tick=False)
    assert [use(hook).status_code for _ in range(DEPLOYS.tries)] == [202] * DEPLOYS.tries
    answer = use(hook)
    assert (answer.status_code, answer["Retry-After"]) == (429, "6")
    assert answer["Content-Type"] == "application/problem+json"
    assert Deployment.objects.count() == DEPLOYS.tries
    other = deploy_hook_create(app=web, name="Other", created_by=None)
    assert use(other).status_code == 202
    time_machine.move_to("2026-12-01 12:00:06Z", tick=False)
    assert use(hook).status_code == 202


def test_its_secret_is_kept_as_a_digest(hook: NewDeployHook) -> None:
    row = DeployHook.objects.values_list().get()
    assert digest_of(hook.secret) in row
    assert not any(hook.secret in str(value) for value in row)
    assert hook.secret.startswith(hook.hook.prefix)
    assert hook.secret not in repr(hook)
    assert not any(hook.secret in str(row) for row in AuditEvent.objects.values_list())


def test_its_secret_is_no_api_token(hook: NewDeployHook) -> None:
    assert looks_like_hook_secret(hook.secret)
    assert not looks_like_secret(hook.secret)
    assert not looks_like_hook_secret(f"{hook.secret}\n")


def test_its_secret_does_not_reach_the_log(hook: NewDeployHook) -> None:
    """Django names the address of every answer that is an error."""
    written = io.StringIO()
    logging.config.dictConfig(current.LOGGING)
    root = logging.getLogger()
    [handler] = [one for one in root.handlers if isinstance(one, logging.StreamHandler)]
    before = handler.setStream(written)
    try:
        secret = hook.secret
        Client().get(f"/hooks/deploy/{secret}")
        Client().post(f"/hooks/deploy/{secret}/")
        Client().post(f"/hooks/deploy/{secret[:-1]}")
        logging.getLogger("django.request").error("Server error: %s", f"/hooks/deploy/{secret}?x=1")
        logging.getLogger("mist").warning("plain /hooks/github/abc")
    finally:
        if before is not None:
            handler.setStream(before)
    text = written.getvalue()
    assert "/hooks/deploy/…" in text and "/hooks/github/abc" in text
    assert secret[len(hook.hook.prefix) : -1] not in text
