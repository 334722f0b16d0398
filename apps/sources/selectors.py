"""Reading webhooks, deploy hooks and deliveries."""

from __future__ import annotations

from django.db.models import OuterRef, QuerySet, Subquery
from django.views.decorators.debug import sensitive_variables

from apps.accounts.models import User
from apps.api.secrets import digest_of
from apps.projects.models import App, Project
from apps.projects.selectors import projects_visible_to
from apps.sources.models import Delivery, DeployHook, GitHubApp, Webhook
from apps.sources.secrets import looks_like_hook_secret


def webhook_at(kind: str, public_id: str) -> Webhook | None:
    """The one of that address, with its project."""
    found = Webhook.objects.filter(kind=kind, public_id=public_id)
    return found.select_related("project").first()


def github_app_at(public_id: str) -> GitHubApp | None:
    """The one whose webhook has that address."""
    return GitHubApp.objects.filter(public_id=public_id).first()


def webhooks_of(project: Project) -> QuerySet[Webhook]:
    """Without their secrets, which only the check of a message reads."""
    return Webhook.objects.filter(project=project).defer("secret")


@sensitive_variables("secret")
def deploy_hook_by_secret(secret: str) -> DeployHook | None:
    """One query, none for what is no secret of ours."""
    if not looks_like_hook_secret(secret):
        return None
    found = DeployHook.objects.select_related("app__project").filter(app__deleted_at=None)
    return found.filter(digest=digest_of(secret)).first()


def deploy_hooks_of(app: App) -> QuerySet[DeployHook]:
    return DeployHook.objects.filter(app=app).select_related("created_by")


def deliveries_visible_to(user: User, project: str) -> QuerySet[Delivery]:
    """To the webhooks of a project that the person sees, the newest first, without what came."""
    projects = projects_visible_to(user).filter(slug=project).order_by()
    found = Delivery.objects.filter(webhook__project__in=projects.values("pk"))
    return found.select_related("webhook__project", "replayed_by", "replay_of").defer(
        "body", "webhook__secret", "replay_of__body"
    )


def deliveries_of(github_app: GitHubApp) -> QuerySet[Delivery]:
    """To a GitHub App, the newest first, without what came."""
    found = Delivery.objects.filter(github_app=github_app)
    return found.select_related("replayed_by", "replay_of").defer("body", "replay_of__body")


def webhooks_with_last(project: Project) -> QuerySet[Webhook]:
    """As `webhooks_of`, with `last_outcome` and `last_at` of what came to each last, or None."""
    newest = Delivery.objects.filter(webhook=OuterRef("pk")).order_by("-id")
    return webhooks_of(project).annotate(
        last_outcome=Subquery(newest.values("outcome")[:1]),
        last_at=Subquery(newest.values("received_at")[:1]),
    )
