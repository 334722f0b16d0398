"""The pages of one app: overview, environment, settings."""

from __future__ import annotations

from collections.abc import Iterable
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
from apps.deployments import services as deployment_services
from apps.deployments.feeds import of_app
from apps.deployments.models import Status
from apps.deployments.selectors import (
    recent_and_live,
    stop_note,
    unapplied,
    with_records,
    with_state,
)
from apps.domains.selectors import domains_of
from apps.domains.warning import notes_of
from apps.live.pages import live_page, render_page
from apps.metrics.cards import usage_now
from apps.metrics.feeds import of_overview
from apps.projects import services
from apps.projects.access import allow
from apps.projects.confirmation import Question, ask
from apps.projects.environment_forms import DeleteForm, PasteForm, VariableForm
from apps.projects.forms import AppForm
from apps.projects.holding_forms import HostPortForm, VolumeForm
from apps.projects.models import App, EnvironmentVariable, HostPort, ProjectRole, Volume
from apps.projects.selectors import (
    apps_visible_to,
    host_ports_of,
    shared_names,
    variables_of,
    volumes_of,
)

LOCKED = "This value is locked. It can be replaced or deleted; nobody is shown it again."
RECENT = 5
"""Deployments on the overview."""


TABS = {
    "Overview": "app",
    "Deployments": "app_deployments",
    "Logs": "app_logs",
    "Metrics": "app_metrics",
    "Environment": "app_environment",
    "Source": "app_source",
    "Domains": "app_domains",
    "Settings": "app_settings",
}
"""A tab's name → the name of its address."""


def find_app(request: HttpRequest, project: str, app: str) -> App:
    """The app of that address, with what `with_state` and `with_records` add; 404 when the person
    may not see it."""
    visible = with_records(with_state(apps_visible_to(cast(User, request.user))))
    return get_object_or_404(visible, project__slug=project, slug=app)


def app_crumbs(app: App, last: str = "") -> list[tuple[str, str | None]]:
    """The way to the app, or to the page `last` of it."""
    project = app.project
    crumbs: list[tuple[str, str | None]] = [
        ("Projects", reverse("dashboard")),
        (project.slug, reverse("project", args=[project.slug])),
    ]
    if not last:
        return [*crumbs, (app.slug, None)]
    return [*crumbs, (app.slug, reverse("app", args=[project.slug, app.slug])), (last, None)]


def app_frame(
    app: App, tab: str, *, variables: Iterable[EnvironmentVariable] | None = None
) -> dict[str, Any]:
    """What `app.html` needs to draw head and tabs around the page of `tab`. A page that has read
    the app's variables hands them over."""
    return {
        "title": app.slug if tab == "Overview" else f"{tab} · {app.slug}",
        "crumbs": app_crumbs(app, "" if tab == "Overview" else tab),
        "nav": "projects",
        "project": app.project,
        "app": app,
        "tab": tab,
        # A form that came back with errors has an address of its own, where nothing can be read.
        "tab_path": reverse(TABS[tab], args=[app.project.slug, app.slug]),
        "unapplied": unapplied(app, variables),
        "stop_note": stop_note(app),
    }


def ask_about(request: HttpRequest, app: App, question: Question, *, last: str) -> HttpResponse:
    """A question about the app or a part of it."""
    frame = {"crumbs": app_crumbs(app, last), "nav": "projects", "project": app.project}
    return ask(request, question, frame)


@allow(ProjectRole.VIEWER)
@require_safe
@live_page(of_overview)
def app(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    recent, live = recent_and_live(found, RECENT)
    newest = recent[0] if recent else None
    domains = list(domains_of(found)) if live else []
    context = {
        **app_frame(found, "Overview"),
        "recent": recent,
        "live": live,
        "active": next((d for d in recent if d.is_unfinished), None),
        "back": next((d for d in recent if d.is_going_back), None),
        "failed": newest if newest and newest.status == Status.FAILED else None,
        "domains": domains,
        "ending": notes_of(found, {found.host, *(one.host for one in domains)}) if live else [],
    }
    if live and not _wants_part(request):
        context["usage"] = usage_now(found)
    return render_page(request, "app_overview.html", context, parts="_app.html")


def _wants_part(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers


# ------------------------------------------------------------------------------------ environment


def _environment_page(request: HttpRequest, app: App, **more: Any) -> HttpResponse:
    variables = list(variables_of(app))
    here = reverse("app_environment", args=[app.project.slug, app.slug])
    context = {
        **app_frame(app, "Environment", variables=variables),
        "variables": variables,
        "form": VariableForm(app=app),
        "paste": PasteForm(app=app),
        "shared": shared_names(app.project_id) if any(v.references for v in variables) else (),
        # Addresses in the rows are short ones where the page has its own address.
        "rows_at": "" if request.path == here else here,
    }
    context |= more
    return render_page(request, "app_environment.html", context, parts="_app_head.html")


def _variable(app: App, pk: str | int) -> EnvironmentVariable:
    text = str(pk)
    return get_object_or_404(variables_of(app), pk=int(text) if text.isdecimal() else 0)


@allow(ProjectRole.VIEWER)
@require_safe
@live_page(of_app)
def app_environment(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    if not (wanted := request.GET.get("edit")):
        return _environment_page(request, found)
    form = VariableForm(app=found, variable=_variable(found, wanted))
    return _environment_page(request, found, form=form)


@allow(ProjectRole.DEVELOPER)
@sensitive_post_parameters("value")
@never_cache
@require_POST
def variable_save(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Add a variable, or change the one whose id is sent as `variable`."""
    found, user = find_app(request, project, app), cast(User, request.user)
    wanted = request.POST.get("variable")
    variable = _variable(found, wanted) if wanted else None
    form = VariableForm(request.POST, app=found, variable=variable)
    if not form.is_valid():
        return _environment_page(request, found, form=form)
    given = form.cleaned_data
    where = {name: given[name] for name in ("at_runtime", "at_build", "is_locked")}
    if variable is None:
        name = given["name"]
        services.variables_save(app=found, values={name: given["value"]}, changed_by=user, **where)
    else:
        name, value = variable.name, given["value"] or None
        services.variable_change(variable=variable, value=value, changed_by=user, **where)
    messages.success(request, f"{name} was saved.")
    return redirect("app_environment", project, app)


@allow(ProjectRole.DEVELOPER)
@sensitive_post_parameters("text")
@never_cache
@require_POST
def environment_paste(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    form = PasteForm(request.POST, app=found)
    if not form.is_valid():
        return _environment_page(request, found, paste=form)
    changed = services.variables_save(
        app=found,
        values=form.values,
        changed_by=cast(User, request.user),
        remove_others=form.cleaned_data["remove_others"],
    )
    words = "1 variable was" if changed == 1 else f"{changed} variables were"
    messages.success(request, f"{words} changed." if changed else "Nothing has changed.")
    return redirect("app_environment", project, app)


@allow(ProjectRole.DEVELOPER, sudo=True)
@never_cache
@require_POST
def variable_reveal(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    """The one value, for this answer only."""
    found = find_app(request, project, app)
    variable = _variable(found, pk)
    if variable.is_locked:
        raise PermissionDenied(LOCKED)
    services.variable_reveal(variable=variable)
    if _wants_part(request):
        return render(request, "_variable_value.html", {"variable": variable})
    return _environment_page(request, found, shown_pk=variable.pk)


@allow(ProjectRole.DEVELOPER, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def variable_delete(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    variable = _variable(found, pk)
    if request.method != "POST":
        question = Question(
            heading=f"Delete {variable.name}?",
            text="Its value is lost. The running version keeps it until you apply the change.",
            button=f"Delete {variable.name}",
            back=reverse("app_environment", args=[project, app]),
            keep="Keep variable",
        )
        return ask_about(request, found, question, last="Delete variable")
    services.variable_delete(variable=variable)
    messages.success(request, f"{variable.name} was deleted.")
    return redirect("app_environment", project, app)


# --------------------------------------------------------------------------------------- settings


def settings_page(request: HttpRequest, app: App, **more: Any) -> HttpResponse:
    """The app's settings, with forms in `more` in place of empty ones."""
    volumes, host_ports = list[Volume](), list[HostPort]()
    if app.holds_something:  # type: ignore[attr-defined]
        volumes, host_ports = list(volumes_of(app)), list(host_ports_of(app))
    context: dict[str, Any] = {
        **app_frame(app, "Settings"),
        "form": AppForm(project=app.project, instance=app, part=AppForm.RUN),
        "deletion": DeleteForm(app=app),
        "volumes": volumes,
        "volume_form": VolumeForm(app=app),
        "host_ports": host_ports,
        "host_port_form": HostPortForm(app=app),
    }
    context |= more
    return render_page(request, "app_settings.html", context, parts="_app_head.html")


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(of_app)
def app_settings(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    project_of = found.project
    form = AppForm(request.POST or None, project=project_of, instance=found, part=AppForm.RUN)
    if not form.is_valid():
        return settings_page(request, found, form=form)
    services.app_update(app=found, **form.settings())
    messages.success(request, "Saved. The settings count from the next deployment on.")
    return redirect("app_settings", project, app)


@allow(ProjectRole.ADMIN, sudo="write")
@require_POST
def app_delete(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    form = DeleteForm(request.POST, app=found)
    if not form.is_valid():
        return settings_page(request, found, deletion=form)
    deployment_services.app_delete(app=found)
    messages.success(request, f"{found} was deleted. Its container and files follow in a moment.")
    return redirect("project", project)
