"""A Git host that tells Mist of pushes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from django.http import HttpResponse
from django.test import Client

from apps.deployments.models import Deployment
from apps.projects.models import App, Project
from apps.sources.hook_services import webhook_secret_make
from apps.sources.models import Delivery, HostKind, Webhook

EVENT = {
    "github": "X-GitHub-Event",
    "gitea": "X-Gitea-Event",
    "gitlab": "X-Gitlab-Event",
    "bitbucket": "X-Event-Key",
}
NAME = {
    "github": "X-GitHub-Delivery",
    "gitea": "X-Gitea-Delivery",
    "gitlab": "Idempotency-Key",
    "bitbucket": "X-Request-UUID",
}


def signed(kind: str, secret: str, body: bytes) -> dict[str, str]:
    """The header with which the host proves that it knows the secret."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "github": {"X-Hub-Signature-256": f"sha256={digest}"},
        "gitea": {"X-Gitea-Signature": digest},
        "gitlab": {"X-Gitlab-Token": secret},
        "bitbucket": {"X-Hub-Signature": f"sha256={digest}"},
    }[kind]


@dataclass
class Host:
    """Sends to one webhook."""

    kind: str
    webhook: Webhook
    secret: str
    client: Client = field(default_factory=Client)
    sent: int = 0

    @property
    def path(self) -> str:
        return f"/hooks/{self.kind}/{self.webhook.public_id}"

    def send(self, event: str, payload: Any, *, delivery: str | None = None) -> HttpResponse:
        """One signed message, of a name of its own unless one is given."""
        self.sent += 1
        name = f"delivery-{self.sent}" if delivery is None else delivery
        body = json.dumps(payload).encode()
        headers = {**signed(self.kind, self.secret, body), EVENT[self.kind]: event}
        return self.post(body, **headers, **({NAME[self.kind]: name} if name else {}))

    def post(self, body: bytes, kind: str = "application/json", **headers: str) -> HttpResponse:
        """These bytes with these headers."""
        answer: Any = self.client.generic("POST", self.path, body, kind, headers=headers)
        return cast(HttpResponse, answer)


MakeHost = Callable[..., Host]


@pytest.fixture
def host_of(shop: Project) -> MakeHost:
    def make(kind: str = HostKind.GITHUB, project: Project | None = None) -> Host:
        made = webhook_secret_make(project=project or shop, kind=kind, by=None)
        return Host(kind, made.webhook, made.secret)

    return make


@pytest.fixture
def github(host_of: MakeHost) -> Host:
    return host_of("github")


def said(answer: HttpResponse) -> list[str]:
    """What the host was told, line by line."""
    found: list[str] = json.loads(answer.content)["words"]
    return found


def waiting(app: App) -> list[Deployment]:
    return list(Deployment.objects.filter(app=app, status="queued").order_by("id"))


def last_delivery() -> Delivery:
    found = Delivery.objects.order_by("-id").first()
    assert found is not None
    return found
