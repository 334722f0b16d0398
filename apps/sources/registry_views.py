"""The page of a project's logins for private registries."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.deployments.feeds import anything
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.projects.app_views import find_app
from apps.projects.confirmation import Question, ask
from apps.projects.models import Project, ProjectRole
from apps.projects.selectors import projects_visible_to
from apps.sources import registry_services as services
from apps.sources.models import RegistryCredential
from apps.sources.registries import registries_of
from apps.sources.registry_checks import is_asking
from apps.sources.registry_forms import RegistryForm


def _project(request: HttpRequest, slug: str) -> Project:
    return get_object_or_404(projects_visible_to(cast(User, request.user)), slug=slug)


def _credential(project: Project, pk: int) -> RegistryCredential:
    return get_object_or_404(registries_of(project), pk=pk)


def _frame(project: Project, last: str = "") -> dict[str, Any]:
    here = reverse("registries", args=[project.slug])
    crumbs: list[tuple[str, str | None]] = [
        ("Projects", reverse("dashboard")),
        (project.slug, reverse("project", args=[project.slug])),
        ("Registries", here if last else None),
    ]
    if last:
        crumbs.append((last, None))
    return {
        "title": f"Registries · {project}",
        "crumbs": crumbs,
        "nav": "projects",
        "project": project,
        "tab": "Registries",
    }


def _page(request: HttpRequest, project: Project, form: RegistryForm) -> HttpResponse:
    rows = [(one, is_asking(one.test_asked_at)) for one in registries_of(project)]
    context = {**_frame(project), "rows": rows, "form": form}
    return render_page(request, "registries.html", context)


@allow(ProjectRole.DEVELOPER, write=ProjectRole.ADMIN, sudo="write")
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(anything)
def registries(request: HttpRequest, project: str) -> HttpResponse:
    """A POST adds a login, or writes the one for that registry anew."""
    found = _project(request, project)
    if request.method != "POST":
        return _page(request, found, RegistryForm())
    form = RegistryForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form)
    saved = services.registry_save(
        project=found, created_by=cast(User, request.user), **form.cleaned_data
    )
    services.registry_test(credential=saved)
    messages.success(request, f"The login for {saved.registry} was saved and is being tested.")
    return redirect("registries", project)


@allow(ProjectRole.DEVELOPER)
@require_POST
def registry_test(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    """Log in to the registry, behind the page."""
    credential = _credential(_project(request, project), pk)
    if not is_asking(credential.test_asked_at):
        services.registry_test(credential=credential)
    return redirect("registries", project)


@allow(ProjectRole.ADMIN, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def registry_remove(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    found = _project(request, project)
    credential = _credential(found, pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove the login for {credential.registry}?",
            text=f"Private images of {credential.registry} cannot be pulled for {found} any more. "
            "What runs, runs on, and kept versions can still be rolled back to.",
            button="Remove login",
            back=reverse("registries", args=[project]),
            keep="Keep login",
        )
        return ask(request, question, _frame(found, "Remove login"))
    services.registry_remove(credential=credential)
    messages.success(request, f"The login for {credential.registry} was removed.")
    return redirect("registries", project)


@allow(ProjectRole.DEVELOPER)
@require_POST
def image_check(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Ask the registry, behind the page, what the app's image is by now."""
    found = find_app(request, project, app)
    if found.has_code:
        messages.info(request, f"{found.slug} is built from code.")
    else:
        services.image_check(app=found)
    return redirect("app_source", project, app)
