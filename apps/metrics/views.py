"""Charts of one app and of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.accounts.models import InstanceRole, User
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.engine.host_usage import uptime
from apps.live.pages import live_page, render_page
from apps.metrics import cards, selectors
from apps.metrics.charts import APP_NAMES, HOST_NAMES, app_plots, columns, host_plots, summary
from apps.metrics.feeds import of_app_metrics, of_server
from apps.metrics.packing import HOST
from apps.metrics.planning import RANGES, Range, range_of, range_text
from apps.projects.access import allow
from apps.projects.app_views import app_frame, find_app
from apps.projects.models import ProjectRole
from mist_project import __version__


def _range(request: HttpRequest) -> Range:
    return range_of(request.GET.get("range", ""))


def _chosen(chosen: Range, now: float) -> dict[str, Any]:
    return {
        "ranges": RANGES,
        "chosen": chosen,
        "range_text": range_text(chosen, now),
    }


# -------------------------------------------------------------------------------------------- apps


@allow(ProjectRole.VIEWER)
@require_safe
@live_page(of_app_metrics)
def app_metrics(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found, now, chosen = find_app(request, project, app), time.time(), _range(request)
    context = app_frame(found, "Metrics")
    if not request.headers.get("HX-Request"):
        series, limits = selectors.series_of(found.pk, chosen, now), cards.app_limits(found)
        context |= _chosen(chosen, now) | {
            "plots": app_plots(series, limits, chosen.words) if series else [],
            "summary": summary(series, limits, APP_NAMES),
        }
    return render_page(request, "app_metrics.html", context, parts="_app_head.html")


@allow(ProjectRole.VIEWER)
@never_cache
@require_safe
def app_metrics_data(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """The numbers behind the charts, as columns, and the deployments that went live meanwhile."""
    found, now, chosen = find_app(request, project, app), time.time(), _range(request)
    series = selectors.series_of(found.pk, chosen, now)
    marks = selectors.deployments_since(found, now - chosen.seconds)
    return _data(chosen, now, columns(series, chosen.resolution), marks)


def _data(
    chosen: Range, now: float, values: dict[str, list[int | None]], marks: list[tuple[int, int]]
) -> JsonResponse:
    return JsonResponse(
        {
            "begin": int(now) - chosen.seconds,
            "seconds": chosen.seconds,
            "live": chosen is RANGES[0],
            "columns": values,
            "deployments": marks,
        }
    )


@allow(ProjectRole.VIEWER)
@never_cache
@require_safe
def app_usage(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """The card of the overview alone, for pages that no WebSocket reaches."""
    found = find_app(request, project, app)
    context = {"app": found, "project": found.project, "usage": cards.usage_now(found)}
    return render(request, "partials/app_usage.html", context)


# ------------------------------------------------------------------------------------------ server


@allow(InstanceRole.ADMIN)
@require_safe
@live_page(of_server)
def server(request: HttpRequest) -> HttpResponse:
    now, chosen, user = time.time(), _range(request), cast(User, request.user)
    points = selectors.newest_points(now)
    by_cpu, by_memory = selectors.top_apps(user, points)
    context: dict[str, Any] = {
        "title": "Server",
        "crumbs": [("Server", None)],
        "nav": "server",
        "by_cpu": [(app, cards.usage_words(app)) for app in by_cpu],
        "by_memory": [(app, cards.usage_words(app)) for app in by_memory],
        "disks": cards.disks(),
    }
    if not request.headers.get("HX-Request"):
        series, limits = selectors.series_of(HOST, chosen, now), cards.host_limits()
        facts = cards.host_facts()
        context |= _chosen(chosen, now) | {
            "facts": facts,
            "up": cards.span(uptime(facts)),
            "versions": _versions(),
            "plots": host_plots(series, limits, chosen.words) if series else [],
            "summary": summary(series, limits, HOST_NAMES),
        }
    return render_page(request, "server.html", context)


def _versions() -> list[tuple[str, str]]:
    """Name and version of what serves here; empty where it does not answer."""
    engine = get_engine()
    return [
        ("Mist", __version__),
        ("Docker", _version_of(lambda: engine.containers.info().version)),
        ("Traefik", _version_of(engine.proxy.version)),
    ]


def _version_of(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except EngineError:
        return ""


@allow(InstanceRole.ADMIN)
@never_cache
@require_safe
def server_data(request: HttpRequest) -> HttpResponse:
    now, chosen = time.time(), _range(request)
    series = selectors.series_of(HOST, chosen, now)
    return _data(chosen, now, columns(series, chosen.resolution), [])


@allow(InstanceRole.ADMIN)
@never_cache
@require_safe
def server_row(request: HttpRequest) -> HttpResponse:
    """The dashboard's row alone, for pages that no WebSocket reaches."""
    context = {"host": cards.host_row_now(selectors.running_count())}
    return render(request, "partials/host_metrics.html", context)
