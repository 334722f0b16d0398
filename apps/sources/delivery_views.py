"""Pages of what Git hosts told a project, and of what GitHub told the instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.projects.access import allow
from apps.projects.models import Project, ProjectRole
from apps.projects.selectors import projects_visible_to
from apps.sources.deliveries import REFUSED_KEPT, delivery_replay, text_of
from apps.sources.github_hooks import github_delivery_replay
from apps.sources.hook_forms import OutcomeForm
from apps.sources.models import Delivery, GitHubApp
from apps.sources.payloads import shown
from apps.sources.retention import KEPT_FOR
from apps.sources.selectors import deliveries_of, deliveries_visible_to, webhooks_of

ROWS = 50
REPLAYED = ("push",)
"""Events to a GitHub App that can be carried out again. News of an installation or of a name is
about how things were then."""


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
    rows = deliveries_visible_to(cast(User, request.user), project)
    more = {**_frame(found), "has_webhooks": webhooks_of(found).exists()}
    return _list(request, rows, more, lambda pk: reverse("delivery", args=[project, pk]))


@allow(ProjectRole.DEVELOPER)
@never_cache
@require_safe
def delivery(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    found = _find(request, project, pk)
    more = {
        **_frame(_project(request, project), f"Delivery {found.pk}"),
        "replay_url": reverse("delivery_replay", args=[project, pk]) if found.body else "",
        "replay_of_url": found.replay_of_id
        and reverse("delivery", args=[project, found.replay_of_id]),
    }
    return _one(request, found, more)


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


def _list(
    request: HttpRequest,
    rows: QuerySet[Delivery],
    more: dict[str, Any],
    url: Callable[[int], str],
) -> HttpResponse:
    form = OutcomeForm(request.GET)
    outcome = form.cleaned_data["outcome"] if form.is_valid() else ""
    if outcome:
        rows = rows.filter(outcome=outcome)
    page = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [(one, url(one.pk)) for one in page],
        "outcome": outcome,
        "outcomes": Delivery.Outcome.choices,
        "days": KEPT_FOR.days,
        "refused_kept": REFUSED_KEPT,
    }
    return render(request, "deliveries.html", context | more)


def _one(request: HttpRequest, found: Delivery, more: dict[str, Any]) -> HttpResponse:
    text, is_cut = shown(text_of(found))
    context = {"delivery": found, "payload": text, "is_cut": is_cut}
    return render(request, "delivery.html", context | more)


@allow(InstanceRole.ADMIN)
@never_cache
@require_safe
def github_delivery_list(request: HttpRequest, pk: int) -> HttpResponse:
    github_app = get_object_or_404(GitHubApp, pk=pk)
    more = {**_github_frame(github_app), "github_app": github_app}
    rows = deliveries_of(github_app)
    return _list(request, rows, more, lambda one: reverse("github_delivery", args=[pk, one]))


@allow(InstanceRole.ADMIN)
@never_cache
@require_safe
def github_delivery(request: HttpRequest, github_app: int, delivery: int) -> HttpResponse:
    of = get_object_or_404(GitHubApp, pk=github_app)
    found = _find_github(of, delivery)
    can_replay = found.body and found.event in REPLAYED
    more = {
        **_github_frame(of, f"Delivery {found.pk}"),
        "replay_url": reverse("github_delivery_replay", args=[github_app, delivery])
        if can_replay
        else "",
        "replay_of_url": found.replay_of_id
        and reverse("github_delivery", args=[github_app, found.replay_of_id]),
    }
    return _one(request, found, more)


@allow(InstanceRole.ADMIN)
@never_cache
@require_POST
def github_delivery_replay_view(
    request: HttpRequest, github_app: int, delivery: int
) -> HttpResponse:
    """Deploy once more what a push asked for; leads to what became of it."""
    found = _find_github(get_object_or_404(GitHubApp, pk=github_app), delivery)
    if not found.body or found.event not in REPLAYED:
        messages.error(request, "Only a push that was taken can be carried out again.")
        return redirect("github_delivery", github_app, delivery)
    made = github_delivery_replay(delivery=found, by=cast(User, request.user))
    messages.success(request, "The delivery was carried out once more.")
    return redirect("github_delivery", github_app, made.pk)


def _find_github(github_app: GitHubApp, pk: int) -> Delivery:
    """With what came."""
    return get_object_or_404(deliveries_of(github_app).defer(None).defer("replay_of__body"), pk=pk)


def _github_frame(github_app: GitHubApp, last: str = "") -> dict[str, Any]:
    here = reverse("github_delivery_list", args=[github_app.pk])
    crumbs: list[tuple[str, str | None]] = [
        ("Settings", reverse("settings")),
        ("GitHub", reverse("github")),
        (f"Deliveries to {github_app}", here if last else None),
    ]
    return {
        "title": f"{last or 'Deliveries'} · {github_app}",
        "crumbs": [*crumbs, (last, None)] if last else crumbs,
        "nav": "settings",
    }


def _find(request: HttpRequest, project: str, pk: int) -> Delivery:
    """With what came."""
    visible = deliveries_visible_to(cast(User, request.user), project)
    return get_object_or_404(visible.defer(None).defer("webhook__secret", "replay_of__body"), pk=pk)
