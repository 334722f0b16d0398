"""What takes room on this server, and cleaning up."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.deployments.retention import limits_now
from apps.live.pages import live_page, render_page
from apps.metrics.cards import disks
from apps.projects.access import allow
from apps.storage import selectors, services
from apps.storage.feeds import of_storage
from apps.storage.report import WORDS, counted


@allow(InstanceRole.ADMIN)
@require_safe
@live_page(of_storage)
def storage(request: HttpRequest) -> HttpResponse:
    known = selectors.last_survey()
    services.survey_request(known)
    return render_page(request, "storage.html", _context(known))


@allow(InstanceRole.ADMIN)
@require_POST
def storage_clean(request: HttpRequest) -> HttpResponse:
    services.cleanup_request(requested_by=cast(User, request.user))
    if "HX-Request" in request.headers:
        return render(request, "_storage.html", _context(selectors.last_survey()))
    messages.success(request, "Mist cleans up. What it freed is told here.")
    return redirect("storage")


def _context(known: Any) -> dict[str, Any]:
    seen = known.data if known is not None else {}
    return {
        "title": "Storage",
        "crumbs": [("Storage", None)],
        "nav": "storage",
        "survey": known,
        "seen": seen,
        "disks": disks(),
        "goes": counted(seen.get("counts", {})),
        "groups": _groups(seen),
        "at_work": selectors.unfinished_cleanup(),
        "past": [(row, counted(row.removed)) for row in selectors.past_cleanups()],
        "limits": limits_now(),
        "hours": settings.MIST_CLEANUP_HOURS,
    }


def _groups(seen: dict[str, Any]) -> list[tuple[str, int, list[dict[str, Any]]]]:
    """What would be removed by kind: its name, how many there are, and those that are named."""
    removals = seen.get("removals", [])
    return [
        (WORDS[kind][1].capitalize(), count, [one for one in removals if one["kind"] == kind])
        for kind, count in seen.get("counts", {}).items()
    ]
