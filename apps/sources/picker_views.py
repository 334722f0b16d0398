"""Choosing a repository and a branch of GitHub, for a new app or one that there is."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.engine.errors import EngineError, InvalidSource
from apps.engine.sources import check_name, check_ref
from apps.projects.access import allow
from apps.projects.app_views import app_crumbs, find_app
from apps.projects.models import App, Project, ProjectRole
from apps.projects.selectors import projects_visible_to
from apps.sources import github_services as services
from apps.sources.github import (
    LIST_AGE,
    Offer,
    client_of,
    installations_open_to,
    matching,
    offers_of,
)
from apps.sources.github_forms import RepositoryAppForm, RepositoryForm
from apps.sources.models import GitHubApp

ROWS = 50
"""Repositories, or branches, on one page."""
TAKEN = "Somebody has just taken this name. Choose another one."


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def app_new_github(request: HttpRequest, project: str) -> HttpResponse:
    """First the repository, then its branch and the new app's name."""
    found = get_object_or_404(projects_visible_to(cast(User, request.user)), slug=project)
    home = reverse("project", args=[found.slug])
    frame: dict[str, Any] = {
        "title": "New app from GitHub",
        "crumbs": [("Projects", reverse("dashboard")), (found.slug, home), ("New app", None)],
        "nav": "projects",
        "project": found,
        "back": home,
    }
    offer = _chosen(request, found)
    if offer is None:
        return _repositories(request, found, frame)
    form = RepositoryAppForm(request.POST or None, project=found)
    form.initial["slug"], form.initial["branch"] = _name_for(offer), _branch(request, offer)
    if form.is_valid():
        try:
            app = services.app_create_from_github(
                project=found,
                installation=offer.installation,
                repository=offer.repository,
                created_by=cast(User, request.user),
                **form.settings(),
            )
        except IntegrityError:
            form.add_error("slug", TAKEN)
        else:
            messages.success(request, f"{app} is ready for its first deployment.")
            return redirect("app", found.slug, app.slug)
    return _branches(request, offer, frame, form)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def app_source_github(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """The same for an app that there is: it becomes that repository."""
    found = find_app(request, project, app)
    back = reverse("app_source", args=[project, app])
    frame: dict[str, Any] = {
        "title": "Repository on GitHub",
        "crumbs": app_crumbs(found, "Repository on GitHub"),
        "nav": "projects",
        "project": found.project,
        "app": found,
        "back": back,
    }
    offer = _chosen(request, found.project)
    if offer is None:
        return _repositories(request, found.project, frame)
    form = RepositoryForm(request.POST or None, app=found)
    form.initial["branch"] = _branch(request, offer)
    if form.is_valid():
        _link(found, offer, form)
        messages.success(request, "Saved. It counts from the next deployment on.")
        return redirect(back)
    return _branches(request, offer, frame, form)


def _link(app: App, offer: Offer, form: RepositoryForm) -> None:
    services.app_link(
        app=app,
        installation=offer.installation,
        repository=offer.repository,
        branch=form.settings()["branch"],
    )


def _chosen(request: HttpRequest, project: Project) -> Offer | None:
    """The repository that the address names; None while none does. 404 for one that the project
    has no way to: GitHub says which there are."""
    given = request.GET
    if "repository" not in given:
        return None
    open_to = installations_open_to(project)
    installation = get_object_or_404(open_to, pk=_number(given.get("installation")))
    offers, problems = offers_of([installation])
    if problems:
        messages.error(request, problems[0])
        return None
    number = _number(given.get("repository"))
    for offer in offers:
        if offer.repository.id == number:
            return offer
    raise Http404


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _name_for(offer: Offer) -> str:
    """What the app may be called; empty where the repository's name would not do."""
    name = offer.repository.full_name.partition("/")[2].lower().replace("_", "-").replace(".", "-")
    try:
        return check_name(name)
    except InvalidSource:
        return ""


def _branch(request: HttpRequest, offer: Offer) -> str:
    return request.GET.get("branch", "")[:250] or offer.repository.default_branch


def _repositories(request: HttpRequest, project: Project, frame: dict[str, Any]) -> HttpResponse:
    installations = list(installations_open_to(project))
    offers, problems = offers_of(installations)
    query = request.GET.get("q", "")[:200]
    names = set(matching((offer.repository.full_name for offer in offers), query))
    shown = [offer for offer in offers if offer.repository.full_name in names]
    context = {
        **frame,
        "query": query,
        "problems": problems,
        "installations": installations,
        "has_apps": bool(installations) or GitHubApp.objects.exists(),
        "count": len(offers),
        "page": Paginator(shown, ROWS).get_page(request.GET.get("page")),
    }
    return render(request, "github_repositories.html", context)


def _branches(request: HttpRequest, offer: Offer, frame: dict[str, Any], form: Any) -> HttpResponse:
    query, problem, names = request.GET.get("q", "")[:200], "", list[str]()
    installation = offer.installation
    try:
        client = client_of(installation.github_app)
        found = client.branches(installation.installation_id, offer.repository, age=LIST_AGE)
        names = [name for name in found if _can_be_deployed(name)]
    except EngineError as error:
        problem = f"{error.sentence} {error.hint}".strip()
    context = {
        **frame,
        "offer": offer,
        "form": form,
        "query": query,
        "problem": problem,
        "count": len(names),
        "branch": form["branch"].value(),
        "page": Paginator(matching(names, query), ROWS).get_page(request.GET.get("page")),
    }
    return render(request, "github_branches.html", context)


def _can_be_deployed(branch: str) -> bool:
    try:
        return bool(check_ref(branch))
    except InvalidSource:
        return False
