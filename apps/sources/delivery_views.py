"""Pages of what Git hosts told a project."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import User
from apps.projects.access import allow
from apps.projects.models import Project, ProjectRole
from apps.projects.selectors import projects_visible_to
from apps.sources.deliveries import REFUSED_KEPT, delivery_replay, text_of
from apps.sources.hook_forms import OutcomeForm
from apps.sources.models import Delivery
from apps.sources.payloads import shown
from apps.sources.retention import KEPT_FOR
from apps.sources.selectors import deliveries_visible_to, webhooks_of

ROWS = 50


def _project(request: HttpRequest, slug: str) -> Project:
    return get_object_or_404(projects_visible_to(cast(User, request.user)), slug=slug)


def _frame(project: Project, last: str = "") -> dict[str, Any]:
    here = reverse("delivery_list", args=[project.slug])
    crumbs: list[tuple[str, str | None]] = [
        ("Projects", reverse("dashboard")),
        (project.slug, reverse("project", args=[project.slug])),
        ("Deliveries", here if last else None),
    ]
    return {
        "title": f"{last or 'Deliveries'} · {project}",
        "crumbs": [*crumbs, (last, None)] if last else crumbs,
        "nav": "projects",
        "project": project,
        "tab": "Deliveries",
    }


@allow(ProjectRole.DEVELOPER)
@never_cache
@require_safe
def delivery_list(request: HttpRequest, project: str) -> HttpResponse:
    found = _project(request, project)
    form = OutcomeForm(request.GET)
    outcome = form.cleaned_data["outcome"] if form.is_valid() else ""
    rows = deliveries_visible_to(cast(User, request.user), project)
    if outcome:
        rows = rows.filter(outcome=outcome)
    context = {
        **_frame(found),
        "page": Paginator(rows, ROWS).get_page(request.GET.get("page")),
        "outcome": outcome,
        "outcomes": Delivery.Outcome.choices,
        "has_webhooks": webhooks_of(found).exists(),
        "days": KEPT_FOR.days,
        "refused_kept": REFUSED_KEPT,
    }
    return render(request, "deliveries.html", context)


@allow(ProjectRole.DEVELOPER)
@never_cache
@require_safe
def delivery(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    found = _find(request, project, pk)
    text, is_cut = shown(text_of(found))
    context = {
        **_frame(_project(request, project), f"Delivery {found.pk}"),
        "delivery": found,
        "payload": text,
        "is_cut": is_cut,
        "days": KEPT_FOR.days,
    }
    return render(request, "delivery.html", context)


@allow(ProjectRole.DEVELOPER)
@never_cache
@require_POST
def delivery_replay_view(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    """Carry it out once more; leads to what became of it."""
    found = _find(request, project, pk)
    if not found.body:
        messages.error(request, "What was refused was not kept, and cannot be carried out.")
        return redirect("delivery", project, pk)
    made = delivery_replay(delivery=found, by=cast(User, request.user))
    messages.success(request, "The delivery was carried out once more.")
    return redirect("delivery", project, made.pk)


def _find(request: HttpRequest, project: str, pk: int) -> Delivery:
    """With what came."""
    visible = deliveries_visible_to(cast(User, request.user), project)
    return get_object_or_404(visible.defer(None).defer("webhook__secret", "replay_of__body"), pk=pk)
