"""The dashboard, search, first-run set-up and what machines ask of Mist."""

from __future__ import annotations

import ipaddress
import sys
from http import HTTPStatus
from typing import IO, Any, cast

from django.conf import settings
from django.core.paginator import Paginator
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.forms import SetupForm
from apps.accounts.models import InstanceRole, User
from apps.accounts.selectors import anyone_exists
from apps.accounts.sessions import sign_in
from apps.audit.logs import request_id
from apps.domains.warning import notes_for, notes_of_dashboard
from apps.engine.errors import InvalidSource, SecretsUnreadable
from apps.engine.git_http import BodyTooLarge, respond
from apps.engine.samples import ensure_sample_repository
from apps.live.pages import live_page, render_page
from apps.metrics.cards import host_row_now
from apps.metrics.feeds import of_dashboard
from apps.projects.access import EVERYBODY, allow
from apps.projects.forms import ProjectForm
from apps.system import selectors, services
from apps.system.configuration import configured
from apps.system.search import QUERY_MAX, RECENT_MAX, find, suggest

CARDS = 16
"""Projects on one page of the dashboard."""
NOTES = 3
"""Of each kind that the dashboard has at its top."""
FEED = 8
RETRY_SECONDS = 5
PALETTE_MAX = 6
FOUND_MAX = 20
"""Results of each kind."""


@allow(InstanceRole.MEMBER)
@require_safe
@live_page(of_dashboard)
def dashboard(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    sidebar = selectors.sidebar_of(user)
    context: dict[str, Any] = {
        "title": "Projects",
        "crumbs": [("Projects", None)],
        "nav": "projects",
        "sidebar": sidebar,
    }
    if not sidebar.projects:
        return render_page(request, "dashboard.html", {**context, "form": ProjectForm()})
    page = Paginator(sidebar.projects, CARDS).get_page(request.GET.get("page"))
    active = selectors.active_deployments()
    cards, feed = selectors.project_cards(user, page.object_list, active, feed=FEED)
    needy = list(selectors.apps_to_look_at(user)[: 3 * NOTES])
    context |= {
        "page": page,
        "cards": cards,
        "feed": feed,
        "troubled": [app for app in needy if app.observed in selectors.TROUBLE][:NOTES],
        "ending": [*(notes_of_dashboard() if user.is_admin else ()), *notes_for(needy)][:NOTES],
    }
    if user.is_admin and "HX-Request" not in request.headers:
        context["host"] = host_row_now(sidebar.running)
    return render_page(request, "dashboard.html", context)


def _found(request: HttpRequest, most: int, active: dict[int, str]) -> dict[str, Any]:
    """What the palette and the search page show for the same address."""
    user, given = cast(User, request.user), request.GET
    query, here = given.get("q", "").strip(), given.get("here", "")
    found = find(user, query, most=most, active=active, here=here)
    if not found.words:
        recent = given.getlist("recent")[:RECENT_MAX]
        found = suggest(user, active=active, recent=recent, here=here)
    return {"found": found, "query": query[:QUERY_MAX]}


@allow(InstanceRole.MEMBER)
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    context = {
        "title": "Search",
        "crumbs": [("Search", None)],
        "nav": "search",
        **_found(request, FOUND_MAX, selectors.active_deployments()),
    }
    return render(request, "search.html", context)


@allow(InstanceRole.MEMBER)
@never_cache
@require_safe
def palette(request: HttpRequest) -> HttpResponse:
    """The options of the command palette."""
    active = selectors.active_deployments()
    return render(request, "_palette.html", _found(request, PALETTE_MAX, active))


@allow(InstanceRole.ADMIN)
@require_safe
def instance_settings(request: HttpRequest) -> HttpResponse:
    """What is configured, where it comes from and how it is changed."""
    engine, problem = selectors.engine_state()
    context = {
        "title": "Settings",
        "crumbs": [("Settings", None)],
        "nav": "settings",
        "groups": configured(),
        "version": settings.MIST_VERSION,
        "data_dir": settings.MIST_DATA_DIR,
        "file": settings.MIST_DATA_DIR / "mist.env",
        "database": connection.vendor,
        "engine": engine,
        "problem": problem,
        "proxy": selectors.proxy_runs(),
    }
    return render(request, "settings.html", context)


@allow(InstanceRole.ADMIN)
@require_POST
def demo(request: HttpRequest) -> HttpResponse:
    deployment = services.demo_start(requested_by=cast(User, request.user))
    app = deployment.app
    return redirect("deployment", app.project.slug, app.slug, deployment.number)


@allow(EVERYBODY)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    if not services.is_setup_token(token):
        return _no_setup(request)
    form = SetupForm(request.POST or None)
    if form.is_valid():
        user = services.setup_claim(token=token, host=request.get_host(), **form.cleaned_data)
        if user is None:
            return _no_setup(request)
        sign_in(request, user, way="set-up link", strong=False)
        return redirect("dashboard")
    return render(request, "setup.html", {"title": "Set up", "form": form})


def _no_setup(request: HttpRequest) -> HttpResponse:
    context = {"title": "Set-up link", "done": anyone_exists()}
    return render(request, "setup_unknown.html", context, status=HTTPStatus.NOT_FOUND)


@allow(EVERYBODY)
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the database answers, 503 otherwise."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse(
            {"status": "database unavailable"}, status=HTTPStatus.SERVICE_UNAVAILABLE
        )
    return JsonResponse({"status": "ok"})


def broken(request: HttpRequest) -> HttpResponse:
    """Any error that nobody expected. A database that does not answer, or is locked for long, is
    a pause and no fault of the page: to be asked again in some seconds.

    Nothing here may ask the database, so the page is drawn without the request.
    """
    context = {"theme": request.COOKIES.get("mist_theme", ""), "request_id": request_id()}
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        connection.close()
        return HttpResponse(
            render_to_string("503.html", context),
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    if isinstance(sys.exc_info()[1], SecretsUnreadable):
        return HttpResponse(
            render_to_string("secrets_unreadable.html", context),
            status=HTTPStatus.SERVICE_UNAVAILABLE,
        )
    return HttpResponse(
        render_to_string("500.html", context), status=HTTPStatus.INTERNAL_SERVER_ERROR
    )


@allow(EVERYBODY)
@csrf_exempt
def sample_repository(request: HttpRequest, name: str, rest: str) -> HttpResponseBase:
    """A sample's Git repository, for reading, for this machine only."""
    if not _is_this_machine(request):
        raise Http404
    try:
        repository = ensure_sample_repository(name, settings.MIST_DATA_DIR)
    except InvalidSource as error:
        raise Http404 from error
    try:
        answer = respond(
            repository,
            request.method or "",
            f"/{rest}",
            request.META.get("QUERY_STRING", ""),
            request.headers,
            cast(IO[bytes], request),
        )
    except BodyTooLarge as error:
        return HttpResponse(
            f"{error}\n", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, content_type="text/plain"
        )
    return StreamingHttpResponse(answer.chunks, status=answer.status, headers=dict(answer.headers))


def _is_this_machine(request: HttpRequest) -> bool:
    """Whether nobody but this machine can have sent it: not through a proxy that stands here."""
    address = request.META.get("REMOTE_ADDR", "")
    if "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META:
        return False
    if settings.MIST_ENGINE_CONFIG.proxy_host:
        # Only Mist's own parts reach this container, all others by way of Traefik.
        return True
    try:
        return address == settings.MIST_BIND or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
