"""Pages of the audit trail and its export."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.accounts.selectors import people
from apps.audit import selectors, services
from apps.audit.forms import FilterForm
from apps.audit.models import AuditEvent
from apps.audit.planning import words_for
from apps.projects.access import allow
from apps.projects.models import Project, ProjectRole
from apps.projects.selectors import people_in, projects_visible_to
from apps.system.selectors import sidebar_of

OFFERED = 500
"""People and projects that a filter lists."""


@allow(InstanceRole.ADMIN)
@never_cache
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Everything."""
    crumbs = [("Audit", None)]
    return _page(request, None, {"title": "Audit", "crumbs": crumbs, "nav": "audit"})


@allow(ProjectRole.ADMIN)
@never_cache
@require_safe
def project_audit(request: HttpRequest, project: str) -> HttpResponse:
    """What happened in this project."""
    found = _project(request, project)
    frame = {
        "title": f"Audit · {found}",
        "crumbs": [
            ("Projects", reverse("dashboard")),
            (found.slug, reverse("project", args=[found.slug])),
            ("Audit", None),
        ],
        "nav": "projects",
        "project": found,
    }
    return _page(request, found, frame)


@allow(InstanceRole.ADMIN)
@require_POST
def audit_export(request: HttpRequest) -> HttpResponseBase:
    return _export(request, None)


@allow(ProjectRole.ADMIN)
@require_POST
def project_audit_export(request: HttpRequest, project: str) -> HttpResponseBase:
    return _export(request, _project(request, project))


def _project(request: HttpRequest, slug: str) -> Project:
    return get_object_or_404(projects_visible_to(cast(User, request.user)), slug=slug)


def _page(request: HttpRequest, project: Project | None, frame: dict[str, Any]) -> HttpResponse:
    sidebar = sidebar_of(cast(User, request.user))
    if project is not None:
        # The lists know nobody but its own people.
        form = FilterForm(request.GET, people=people_in(project)[:OFFERED], projects=None)
    else:
        projects = [(one.pk, one.slug) for one in sidebar.projects[:OFFERED]]
        form = FilterForm(request.GET, people=people()[:OFFERED], projects=projects)
    page = selectors.Page([], None)
    if form.is_valid():
        before = selectors.Cursor.parse(request.GET.get("before", ""))
        filters = form.filters(project.pk if project else None)
        page = selectors.events_page(filters, before)
    asked = {name: value for name, value in request.GET.items() if value and name in form.fields}
    export = reverse("audit_export")
    if project is not None:
        export = reverse("project_audit_export", args=[project.slug])
    for event in page.events[:1]:
        # Of who and what is gone the events themselves know the name.
        form.name_choice("actor", event.actor_name)
        form.name_choice("project", event.project_name)
    context = {
        **frame,
        "sidebar": sidebar,
        "form": form,
        "events": _shown(page.events),
        "older": str(page.older or ""),
        "cut_short": page.cut_short,
        "window": selectors.WINDOW,
        "asked": asked,
        "begun": "before" in request.GET,
        "export": export,
        "days": settings.MIST_AUDIT_DAYS,
    }
    return render(request, "audit.html", context)


def _shown(events: list[AuditEvent]) -> list[dict[str, Any]]:
    pages = selectors.pages_of_things(events)
    return [
        {
            "event": event,
            "words": words_for(event.action),
            "href": pages.get((event.thing_type, event.thing_id or 0), ""),
            "changes": [
                (name.replace("_", " "), event.before.get(name, ""), event.after.get(name, ""))
                for name in {**event.before, **event.after}
            ],
        }
        for event in events
    ]


def _export(request: HttpRequest, project: Project | None) -> HttpResponseBase:
    form = FilterForm(request.GET, people=(), projects=None if project else ())
    file_format = request.POST.get("format", "")
    if file_format not in services.FORMATS or not form.is_valid():
        return HttpResponse("Choose csv or json.\n", status=HTTPStatus.BAD_REQUEST)
    blocks = services.events_export(
        filters=form.filters(project.pk if project else None),
        file_format=file_format,
        project=project,
        asked={name: request.GET[name] for name in form.fields if request.GET.get(name)},
    )
    name = f"mist-audit-{project}" if project else "mist-audit"
    return StreamingHttpResponse(
        blocks,
        content_type=services.FORMATS[file_format][0],
        headers={
            "Content-Disposition": f'attachment; filename="{name}-{_today()}.{file_format}"',
            "Cache-Control": "no-store",
        },
    )


def _today() -> str:
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
