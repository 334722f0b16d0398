"""Making and taking back what other programs may tell Mist with: webhooks and deploy hooks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apps.accounts.models import User
from apps.api.secrets import digest_of
from apps.audit.trail import record
from apps.deployments.models import Deployment
from apps.deployments.services import deployment_request
from apps.projects.models import App, Project
from apps.sources.models import DeployHook, Webhook
from apps.sources.secrets import SHOWN, new_hook_secret, new_public_id, new_webhook_secret

USE_NOTED = dt.timedelta(minutes=1)
"""A busy hook writes no oftener when it was last used."""


@dataclass(frozen=True)
class NewWebhook:
    webhook: Webhook
    secret: str = field(repr=False)
    """For the one answer to who made it; no page shows it again."""


@dataclass(frozen=True)
class NewDeployHook:
    hook: DeployHook
    secret: str = field(repr=False)
    """Likewise, and afterwards nobody has it."""


@sensitive_variables("secret")
def webhook_secret_make(*, project: Project, kind: str, by: User | None) -> NewWebhook:
    """A new secret for the project's webhook of that kind, which is made where there is none. What
    is signed with the secret before is refused from now on."""
    secret = new_webhook_secret()
    with transaction.atomic():
        webhook, made = Webhook.objects.select_for_update().get_or_create(
            project=project,
            kind=kind,
            defaults={"public_id": new_public_id(), "secret": secret, "created_by": by},
        )
        if made:
            record("webhook.create", webhook, after={"kind": kind})
        else:
            webhook.secret = secret
            webhook.save(update_fields=["secret"])
            record("webhook.rotate", webhook)
    return NewWebhook(webhook, secret)


def webhook_delete(*, webhook: Webhook) -> None:
    """Its address is gone, and its deliveries with it."""
    with transaction.atomic():
        record("webhook.delete", webhook, before={"kind": webhook.kind})
        webhook.delete()


@sensitive_variables("secret")
def deploy_hook_create(*, app: App, name: str, created_by: User | None) -> NewDeployHook:
    secret = new_hook_secret()
    with transaction.atomic():
        hook = DeployHook.objects.create(
            app=app,
            name=name,
            prefix=secret[:SHOWN],
            digest=digest_of(secret),
            created_by=created_by,
        )
        record("deploy_hook.create", hook)
    return NewDeployHook(hook, secret)


def deploy_hook_revoke(*, hook: DeployHook) -> None:
    """Its address is none any more, from the next request on."""
    with transaction.atomic():
        record("deploy_hook.revoke", hook)
        hook.delete()


def deploy_hook_use(*, hook: DeployHook) -> Deployment:
    """Queue a deployment of the app's branch, and remember that the hook was used. The caller says
    who acts."""
    now = timezone.now()
    with transaction.atomic():
        due = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED)
        DeployHook.objects.filter(due, pk=hook.pk).update(last_used_at=now)
        return deployment_request(app=hook.app, requested_by=None, trigger=Deployment.Trigger.HOOK)
