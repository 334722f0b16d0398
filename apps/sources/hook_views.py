"""Making and taking back webhooks and deploy hooks, on the Source tab of an app."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.projects.access import allow
from apps.projects.app_views import app_frame, ask_about, find_app
from apps.projects.confirmation import Question
from apps.projects.models import App, ProjectRole
from apps.sources import hook_services
from apps.sources.hook_cards import deploy_hook_url, webhook_url
from apps.sources.hook_forms import DeployHookForm
from apps.sources.models import HostKind, Webhook
from apps.sources.selectors import deploy_hooks_of, webhooks_of
from apps.sources.views import source_page


def _kind(kind: str) -> HostKind:
    if kind not in HostKind.values:
        raise Http404
    return HostKind(kind)


def _back(app: App) -> str:
    return reverse("app_source", args=[app.project.slug, app.slug])


@allow(ProjectRole.DEVELOPER, sudo=True)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_secret(request: HttpRequest, project: str, app: str, kind: str) -> HttpResponse:
    """A secret for the project's webhook of that kind, and the webhook where there is none. The
    answer is the only page that shows it, and how to set the host up. No redirect: the secret
    would have to wait somewhere meanwhile."""
    found, host = find_app(request, project, app), _kind(kind)
    if request.method != "POST":
        exists = webhooks_of(found.project).filter(kind=host).exists()
        return ask_about(request, found, _question(found, host, exists=exists), last="Webhook")
    made = hook_services.webhook_secret_make(
        project=found.project, kind=host, by=cast(User, request.user)
    )
    context: dict[str, Any] = {
        **app_frame(found, "Source"),
        "kind": host.value,
        "label": host.label,
        "new": made,
        "url": webhook_url(made.webhook),
    }
    return render(request, "webhook_made.html", context)


def _question(app: App, kind: HostKind, *, exists: bool) -> Question:
    if not exists:
        return Question(
            heading=f"Make a webhook for {kind.label}?",
            text=f"Pushes there then deploy the apps of {app.project} that are built from them.",
            button="Make webhook",
            back=_back(app),
        )
    return Question(
        heading=f"Make a new secret for {kind.label}?",
        text=f"What is signed with the secret of now is refused at once, for all apps of "
        f"{app.project}: no push deploys until every repository's webhook has the new one.",
        button="Make new secret",
        back=_back(app),
        keep="Keep secret",
    )


@allow(ProjectRole.DEVELOPER)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_delete(request: HttpRequest, project: str, app: str, kind: str) -> HttpResponse:
    found = find_app(request, project, app)
    webhook: Webhook = get_object_or_404(webhooks_of(found.project), kind=_kind(kind))
    label = webhook.get_kind_display()
    if request.method != "POST":
        question = Question(
            heading=f"Remove the {label} webhook?",
            text=f"Pushes there deploy nothing in {found.project} any more, and its deliveries are "
            "forgotten. A new one has another address.",
            button="Remove webhook",
            back=_back(found),
            keep="Keep webhook",
        )
        return ask_about(request, found, question, last="Webhook")
    hook_services.webhook_delete(webhook=webhook)
    messages.success(request, f"The {label} webhook was removed.")
    return redirect(_back(found))


@allow(ProjectRole.DEVELOPER, sudo="write")
@never_cache
@require_POST
def deploy_hook_create(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """The answer is the only page that shows the address."""
    found = find_app(request, project, app)
    form = DeployHookForm(request.POST)
    if not form.is_valid():
        return source_page(request, found, deploy_hook_form=form)
    made = hook_services.deploy_hook_create(
        app=found, name=form.cleaned_data["name"], created_by=cast(User, request.user)
    )
    context: dict[str, Any] = {
        **app_frame(found, "Source"),
        "new": made,
        "url": deploy_hook_url(made.secret),
    }
    return render(request, "deploy_hook_made.html", context)


@allow(ProjectRole.DEVELOPER)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def deploy_hook_revoke(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    hook = get_object_or_404(deploy_hooks_of(found), pk=pk)
    if request.method != "POST":
        question = Question(
            heading=f"Revoke {hook.name}?",
            text=f"Whatever uses the address with {hook.prefix}… deploys nothing any more. This "
            "cannot be undone; a new deploy hook can be made.",
            button="Revoke deploy hook",
            back=_back(found),
            keep="Keep deploy hook",
        )
        return ask_about(request, found, question, last="Deploy hook")
    hook_services.deploy_hook_revoke(hook=hook)
    messages.success(request, f"{hook.name} was revoked.")
    return redirect(_back(found))
