"""What the Source tab says of webhooks and deploy hooks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.hook_forms import DeployHookForm
from apps.sources.models import Delivery, HostKind, Webhook
from apps.sources.planning import host_of
from apps.sources.selectors import deploy_hooks_of, webhooks_with_last
from apps.system.planning import dashboard_url

_SIGNS = {
    "github": HostKind.GITHUB,
    "gitlab": HostKind.GITLAB,
    "bitbucket": HostKind.BITBUCKET,
    "gitea": HostKind.GITEA,
    "forgejo": HostKind.GITEA,
    "codeberg": HostKind.GITEA,
}
"""What a host has in its name → what it speaks, as far as one can guess."""


@dataclass(frozen=True)
class WebhookRow:
    kind: str
    label: str
    url: str
    last: str
    """What became of what came last; empty when nothing came yet."""
    last_at: dt.datetime | None


def webhooks_card(request: HttpRequest, app: App) -> dict[str, Any]:
    """For `partials/source_webhooks.html` and `partials/source_deploy_hooks.html`."""
    found = {webhook.kind: webhook for webhook in webhooks_with_last(app.project)}
    guess = guess_kind(app.repository)
    kinds = sorted(HostKind, key=lambda kind: kind != guess)
    return {
        "takes_webhooks": app.source_kind == SourceKind.GIT,
        "webhooks": [_row(kind, found[kind]) for kind in kinds if kind in found],
        "webhook_kinds": [(kind.value, kind.label) for kind in kinds if kind not in found],
        "guessed": guess.value if guess is not None and guess not in found else "",
        "deploy_hooks": deploy_hooks_of(app),
        "deploy_hook_form": DeployHookForm(),
    }


def _row(kind: HostKind, webhook: Any) -> WebhookRow:
    last = Delivery.Outcome(webhook.last_outcome).label if webhook.last_outcome else ""
    return WebhookRow(kind, kind.label, webhook_url(webhook), last, webhook.last_at)


def guess_kind(repository: str) -> HostKind | None:
    """What the repository's host speaks, by its name; None where that tells nothing."""
    host = host_of(repository)
    return next((kind for sign, kind in _SIGNS.items() if sign in host), None)


def webhook_url(webhook: Webhook) -> str:
    """Where the host sends its messages."""
    return dashboard_url() + reverse("webhook", args=[webhook.kind, webhook.public_id])


def deploy_hook_url(secret: str) -> str:
    return dashboard_url() + reverse("deploy_hook", args=[secret])
