"""Projects: their list, their pages, and new apps in them."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import InstanceRole, User
from apps.deployments.feeds import anything
from apps.deployments.models import UNFINISHED
from apps.live.pages import live_page, render_page
from apps.projects import services
from apps.projects.access import allow
from apps.projects.confirmation import Question, ask
from apps.projects.forms import AppForm, ProjectForm
from apps.projects.models import App, Project, ProjectRole
from apps.projects.selectors import projects_visible_to
from apps.system import selectors

APPS = 50
PROJECTS = 50
"""Rows on one page."""
TAKEN = "Somebody has just taken this name. Choose another one."


def _project(request: HttpRequest, slug: str) -> Project:
    return get_object_or_404(projects_visible_to(cast(User, request.user)), slug=slug)


@allow(InstanceRole.MEMBER)
@require_safe
@live_page(anything)
def project_list(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    sidebar = selectors.sidebar_of(user)
    page = Paginator(sidebar.projects, PROJECTS).get_page(request.GET.get("page"))
    context = {
        "title": "Projects",
        "crumbs": [("Projects", None)],
        "nav": "projects",
        "sidebar": sidebar,
        "page": page,
        "cards": selectors.project_cards(
            user, page.object_list, selectors.active_deployments(), count=0
        )[0],
    }
    return render_page(request, "project_list.html", context)


@allow(InstanceRole.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if form.is_valid():
        slug = form.cleaned_data["slug"]
        try:
            services.project_create(slug=slug, created_by=cast(User, request.user))
        except IntegrityError:
            form.add_error("slug", TAKEN)
        else:
            return redirect("project", slug)
    context = {
        "title": "New project",
        "crumbs": [("Projects", reverse("dashboard")), ("New project", None)],
        "nav": "projects",
        "form": form,
    }
    return render(request, "project_new.html", context)


@allow(ProjectRole.VIEWER)
@require_safe
@live_page(anything)
def project(request: HttpRequest, project: str) -> HttpResponse:
    user = cast(User, request.user)
    found = _project(request, project)
    page = Paginator(selectors.apps_of(user, found), APPS).get_page(request.GET.get("page"))
    apps: list[App] = list(page.object_list)
    newest = selectors.newest_deployments(user, apps)
    for app in apps:
        deployment = newest.get(app.newest_id or 0)  # type: ignore[attr-defined]
        app.newest = deployment  # type: ignore[attr-defined]
        is_active = deployment is not None and deployment.status in UNFINISHED
        app.active_status = deployment.status if deployment and is_active else None  # type: ignore[attr-defined]
    context = {
        "title": found.slug,
        "crumbs": [("Projects", reverse("dashboard")), (found.slug, None)],
        "nav": "projects",
        "project": found,
        "page": page,
        "apps": apps,
    }
    return render_page(request, "project.html", context)


@allow(ProjectRole.ADMIN, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def project_delete(request: HttpRequest, project: str) -> HttpResponse:
    found = _project(request, project)
    if request.method != "POST":
        return _ask_to_delete(request, found)
    if services.project_delete(project=found):
        messages.success(request, f"Project {found} was deleted.")
        return redirect("dashboard")
    messages.error(
        request,
        f"{found} still has apps. Delete them first; one that was just deleted takes a moment.",
    )
    return redirect("project", found.slug)


def _ask_to_delete(request: HttpRequest, project: Project) -> HttpResponse:
    home = reverse("project", args=[project.slug])
    question = Question(
        heading=f"Delete project {project}?",
        text=f"The name {project} is free for others again. The project has no apps, so nothing "
        "stops running.",
        button=f"Delete {project}",
        back=home,
        keep="Keep project",
    )
    frame = {
        "crumbs": [("Projects", reverse("dashboard")), (project.slug, home), ("Delete", None)],
        "nav": "projects",
        "project": project,
    }
    return ask(request, question, frame)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def app_new(request: HttpRequest, project: str) -> HttpResponse:
    found = _project(request, project)
    form = AppForm(request.POST or None, project=found)
    if form.is_valid():
        try:
            app = services.app_create(
                project=found, created_by=cast(User, request.user), **form.settings()
            )
        except IntegrityError:
            form.add_error("slug", TAKEN)
        else:
            messages.success(request, f"{app} is ready for its first deployment.")
            return redirect("app", found.slug, app.slug)
    context = {
        "title": "New app",
        "crumbs": [
            ("Projects", reverse("dashboard")),
            (found.slug, reverse("project", args=[found.slug])),
            ("New app", None),
        ],
        "nav": "projects",
        "project": found,
        "form": form,
    }
    return render(request, "app_new.html", context)
