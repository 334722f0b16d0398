"""Deployments: their lists, the page of one, and starting, stopping and deploying an app."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.deployments import services
from apps.deployments.feeds import anything, of_app, of_deployment
from apps.deployments.forms import DeployForm
from apps.deployments.log_views import log_pane
from apps.deployments.models import Deployment, Status
from apps.deployments.planning import drain_seconds
from apps.deployments.queueing import waiting
from apps.deployments.selectors import (
    count_deployments_visible_to,
    deployments_of,
    deployments_visible_to,
    draining_deployment,
    live_deployment,
    stop_note,
    with_holdings,
)
from apps.deployments.stages import rail
from apps.live.pages import live_page, render_page
from apps.projects.access import access, allow
from apps.projects.app_views import app_frame, ask_about, find_app
from apps.projects.confirmation import Question
from apps.projects.models import App, ProjectRole

ROWS = 50


@allow(InstanceRole.MEMBER)
@require_safe
@live_page(anything)
def deployment_list(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    pages = Paginator(deployments_visible_to(user), ROWS)
    pages.count = count_deployments_visible_to(user)
    context = {
        "title": "Deployments",
        "crumbs": [("Deployments", None)],
        "nav": "deployments",
        "page": pages.get_page(request.GET.get("page")),
        "show_app": True,
    }
    return render_page(request, "deployment_list.html", context)


def _app_page(request: HttpRequest, app: App, form: DeployForm) -> HttpResponse:
    page = Paginator(deployments_of(app), ROWS).get_page(request.GET.get("page"))
    context = {**app_frame(app, "Deployments"), "page": page, "form": form}
    return render_page(request, "app_deployments.html", context)


@allow(ProjectRole.VIEWER)
@require_safe
@live_page(of_app)
def app_deployments(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    return _app_page(request, found, DeployForm(app=found))


@allow(ProjectRole.DEVELOPER)
@require_POST
def app_deploy(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    form = DeployForm(request.POST, app=found)
    if not form.is_valid():
        return _app_page(request, found, form)
    deployment = services.deployment_request(
        app=found, requested_by=cast(User, request.user), **form.cleaned_data
    )
    return redirect("deployment", project, app, deployment.number)


@allow(ProjectRole.DEVELOPER)
@require_POST
def app_apply(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Bring changed settings and variables into the running version."""
    found = find_app(request, project, app)
    deployment = services.changes_apply(app=found, requested_by=cast(User, request.user))
    return redirect("deployment", project, app, deployment.number)


# --------------------------------------------------------------------------------- one deployment


def _find(request: HttpRequest, project: str, app: str, number: int) -> Deployment:
    visible = deployments_visible_to(cast(User, request.user))
    visible = visible.select_related("cancelled_by", "source").defer(
        "made_from", "variables", "source__made_from", "source__variables"
    )
    visible = with_holdings(visible)
    found = get_object_or_404(visible, app__project__slug=project, app__slug=app, number=number)
    found.app.holds_something = found.app_holds_something  # type: ignore[attr-defined]
    return found


def _state(deployment: Deployment) -> dict[str, Any]:
    """What the changing part of the page shows."""
    stages = rail(deployment, now=time.time())
    current = next((s for s in stages if s.state in ("active", "failed", "skipped")), stages[-1])
    live = None if deployment.status == Status.LIVE else live_deployment(deployment.app)
    return {
        "d": deployment,
        "app": deployment.app,
        "project": deployment.app.project,
        "rail": stages,
        "stage": current,
        "stage_number": stages.index(current) + 1,
        "live": live,
        "serve_again": len({*live.container_ids} & {*deployment.serving}) if live else 0,
        "waiting": waiting(deployment),
        "draining": draining_deployment(deployment),
        "drain_seconds": drain_seconds(deployment.app),
        "stop_note": "" if deployment.is_unfinished else stop_note(deployment.app),
    }


@allow(ProjectRole.VIEWER)
@require_safe
@live_page(of_deployment)
def deployment(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    found = _find(request, project, app, number)
    context = _state(found)
    if "HX-Request" not in request.headers and access(request).develops:
        context |= log_pane(found)
    context |= {
        "title": f"#{found.number} · {found.app.slug}",
        "crumbs": [
            ("Projects", reverse("dashboard")),
            (project, reverse("project", args=[project])),
            (app, reverse("app", args=[project, app])),
            ("Deployments", reverse("app_deployments", args=[project, app])),
            (f"#{found.number}", None),
        ],
        "nav": "projects",
        "fill": found.status != Status.FAILED,
    }
    return render_page(request, "deployment.html", context)


@allow(ProjectRole.DEVELOPER)
@require_POST
def deployment_cancel(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    found = _find(request, project, app, number)
    if services.deployment_cancel(deployment=found, by=cast(User, request.user)):
        messages.success(request, f"Deployment #{number} is being cancelled.")
    elif found.status == Status.LIVE:
        words = "is live: it is too late to cancel it. Roll back instead."
        messages.info(request, f"Deployment #{number} {words}")
    else:
        messages.info(request, f"Deployment #{number} was over already.")
    return redirect("deployment", project, app, number)


# --------------------------------------------------------------------------------- the running app


def _wish(
    request: HttpRequest, project: str, app: str, wish: Callable[..., None], words: str
) -> HttpResponse:
    found = find_app(request, project, app)
    wish(app=found)
    messages.success(request, f"{found.slug} is being {words}.")
    return redirect("app", project, app)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def app_stop(request: HttpRequest, project: str, app: str) -> HttpResponse:
    if request.method != "POST":
        return _ask_to_stop(request, find_app(request, project, app))
    return _wish(request, project, app, services.app_stop, "stopped")


def _ask_to_stop(request: HttpRequest, app: App) -> HttpResponse:
    stops = f"{app.host} and the app's domains" if app.has_address else "The worker"
    will = "will not answer" if app.has_address else "will do nothing"
    question = Question(
        heading=f"Stop {app.slug}?",
        text=f"{stops} {will} until you start it again. Data and settings stay as they are.",
        button=f"Stop {app.slug}",
        back=reverse("app", args=[app.project.slug, app.slug]),
        keep="Keep running",
    )
    return ask_about(request, app, question, last="Stop")


@allow(ProjectRole.DEVELOPER)
@require_POST
def app_start(request: HttpRequest, project: str, app: str) -> HttpResponse:
    return _wish(request, project, app, services.app_start, "started")


@allow(ProjectRole.DEVELOPER)
@require_POST
def app_restart(request: HttpRequest, project: str, app: str) -> HttpResponse:
    return _wish(request, project, app, services.app_restart, "restarted")
