"""The variables that a project's apps share, and an app's environment as a file."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import User
from apps.projects import dotenv, shared_services
from apps.projects.access import allow
from apps.projects.app_views import LOCKED, find_app
from apps.projects.confirmation import Question, ask
from apps.projects.models import Project, ProjectRole, SharedVariable
from apps.projects.selectors import (
    projects_visible_to,
    shared_variables_of,
    users_of_shared,
    variables_of,
)
from apps.projects.shared_forms import SharedVariableForm


def _project(request: HttpRequest, slug: str) -> Project:
    return get_object_or_404(projects_visible_to(cast(User, request.user)), slug=slug)


def _variable(project: Project, pk: str | int) -> SharedVariable:
    text = str(pk)
    rows = shared_variables_of(project)
    return get_object_or_404(rows, pk=int(text) if text.isdecimal() else 0)


def _frame(project: Project, last: str = "") -> dict[str, Any]:
    home = reverse("project", args=[project.slug])
    variables = reverse("project_variables", args=[project.slug])
    crumbs = [("Projects", reverse("dashboard")), (project.slug, home)]
    more: list[tuple[str, str | None]] = [("Variables", variables), (last, None)]
    return {
        "title": f"Variables · {project.slug}",
        "crumbs": [*crumbs, *(more if last else [("Variables", None)])],
        "nav": "projects",
        "project": project,
    }


def _page(request: HttpRequest, project: Project, **more: Any) -> HttpResponse:
    variables, users = list(shared_variables_of(project)), users_of_shared(project)
    here = reverse("project_variables", args=[project.slug])
    context = {
        **_frame(project),
        "variables": [(variable, users.get(variable.name, [])) for variable in variables],
        "form": SharedVariableForm(project=project),
        "rows_at": "" if request.path == here else here,
    }
    return render(request, "project_variables.html", context | more)


@allow(ProjectRole.VIEWER)
@require_safe
def project_variables(request: HttpRequest, project: str) -> HttpResponse:
    found = _project(request, project)
    if not (wanted := request.GET.get("edit")):
        return _page(request, found)
    form = SharedVariableForm(project=found, variable=_variable(found, wanted))
    return _page(request, found, form=form)


@allow(ProjectRole.DEVELOPER)
@sensitive_post_parameters("value")
@never_cache
@require_POST
def shared_variable_save(request: HttpRequest, project: str) -> HttpResponse:
    """Add a variable, or change the one whose id is sent as `variable`."""
    found = _project(request, project)
    wanted = request.POST.get("variable")
    variable = _variable(found, wanted) if wanted else None
    form = SharedVariableForm(request.POST, project=found, variable=variable)
    if not form.is_valid():
        return _page(request, found, form=form)
    given = form.cleaned_data
    saved = shared_services.shared_variable_save(
        project=found,
        name=variable.name if variable else given["name"],
        value=(given["value"] or None) if variable else given["value"],
        is_locked=given["is_locked"],
        changed_by=cast(User, request.user),
    )
    messages.success(request, f"{saved.name} was saved. Apps that use it take it up when deployed.")
    return redirect("project_variables", project)


@allow(ProjectRole.DEVELOPER, sudo=True)
@never_cache
@require_POST
def shared_variable_reveal(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    """The one value, for this answer only."""
    found = _project(request, project)
    variable = _variable(found, pk)
    if variable.is_locked:
        raise PermissionDenied(LOCKED)
    shared_services.shared_variable_reveal(variable=variable)
    if "HX-Request" in request.headers:
        return render(request, "_variable_value.html", {"variable": variable})
    return _page(request, found, shown_pk=variable.pk)


@allow(ProjectRole.DEVELOPER, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def shared_variable_delete(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    found = _project(request, project)
    variable = _variable(found, pk)
    if request.method != "POST":
        users = ", ".join(app.slug for app in users_of_shared(found).get(variable.name, []))
        text = "Its value is lost. No app of the project uses it."
        if users:
            text = (
                f"Its value is lost. These use it and cannot be deployed until they no longer do: "
                f"{users}. What runs keeps its value."
            )
        question = Question(
            heading=f"Delete {variable.name}?",
            text=text,
            button=f"Delete {variable.name}",
            back=reverse("project_variables", args=[project]),
            keep="Keep variable",
        )
        return ask(request, question, _frame(found, "Delete variable"))
    shared_services.shared_variable_delete(variable=variable)
    messages.success(request, f"{variable.name} was deleted.")
    return redirect("project_variables", project)


@allow(ProjectRole.DEVELOPER, sudo=True)
@never_cache
@require_POST
def environment_export(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """The app's own variables as a .env, without locked ones. References stay references."""
    found = find_app(request, project, app)
    values = {v.name: v.value for v in variables_of(found) if not v.is_locked}
    shared_services.environment_export(app=found, names=values)
    answer = HttpResponse(dotenv.dump(values), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{found.slug}.env"'
    return answer
