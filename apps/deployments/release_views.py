"""Going back to a version that was live before, and keeping one for that."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.deployments import changes, services
from apps.deployments.models import Deployment
from apps.deployments.selectors import deployments_visible_to, live_deployment, stop_note
from apps.projects.access import allow
from apps.projects.app_views import app_crumbs
from apps.projects.models import ProjectRole
from apps.projects.selectors import filled_in


def _find(request: HttpRequest, project: str, app: str, number: int) -> Deployment:
    visible = (
        deployments_visible_to(cast(User, request.user)).defer(None).select_related("app__project")
    )
    return get_object_or_404(visible, app__project__slug=project, app__slug=app, number=number)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def deployment_rollback(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    """The question with what differs on a GET, alone for a dialog; the deed on a POST."""
    found = _find(request, project, app, number)
    if request.method != "POST" and found.can_be_rolled_back_to:
        return _ask(request, found)
    try:
        deployment = services.deployment_rollback(
            to=found,
            requested_by=cast(User, request.user),
            old_variables=request.POST.get("variables") == "then",
        )
    except services.NotKept as error:
        messages.error(request, str(error))
        return redirect("deployment", project, app, number)
    return redirect("deployment", project, app, deployment.number)


def _ask(request: HttpRequest, to: Deployment) -> HttpResponse:
    app = to.app
    context: dict[str, Any] = {
        "title": f"Roll back {app.slug} to #{to.number}",
        "crumbs": app_crumbs(app, "Roll back"),
        "nav": "projects",
        "project": app.project,
        "app": app,
        "to": to,
        "live": live_deployment(app),
        "differences": _differences(to),
        "stop_note": stop_note(app, "Rolling back"),
        "back": reverse("deployment", args=[app.project.slug, app.slug, to.number]),
    }
    name = "_rollback.html" if "HX-Request" in request.headers else "rollback.html"
    answer = render(request, name, context)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def _differences(to: Deployment) -> list[changes.Change]:
    """Variables that are others now than they were then."""
    if to.made_from is None or not to.variables:
        return []
    now = changes.record(to.app, filled_in(to.app, strict=False))
    return [change for change in changes.difference(to.made_from, now) if change.is_variable]


@allow(ProjectRole.DEVELOPER)
@require_POST
def deployment_pin(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    found = _find(request, project, app, number)
    pinned = request.POST.get("pinned") == "on"
    services.deployment_pin(deployment=found, pinned=pinned)
    kept = "is kept until you unpin it" if pinned else "is kept as long as others are"
    messages.success(request, f"The image of #{number} {kept}.")
    return redirect("deployment", project, app, number)
