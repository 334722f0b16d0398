"""Default deny: an address answers only to whom its view is declared for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url

from apps.accounts.models import InstanceRole
from apps.api.gate import is_api, refuse
from apps.projects.access import NOBODY, Everybody, Needs, access_of, refusal
from apps.projects.models import ProjectRole

logger = logging.getLogger("mist.access")
OWNERS = Needs(InstanceRole.OWNER, InstanceRole.OWNER)
"""For the Django admin, whose views are not ours to mark."""


class AccessMiddleware(LoginRequiredMiddleware):
    """Compares what the view needs (`apps.projects.access.allow`) with who asks, and leaves what
    they may do as `request.access`. Below /api/ it is a token that asks, and `apps.api.gate` that
    compares; neither opens what is declared for the other.

    Who has not logged in is sent to log in. Of a project that a person is no member of, nothing
    exists (404). Who may see it but not do this is told so (403).
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., Any],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        asking: Any = request
        asking.access = NOBODY
        if is_api(request):
            return refuse(request, view_func, view_kwargs)
        needs = _needs_of(request, view_func)
        if needs is None:
            logger.error("Nobody may use %s: its view declares no access.", request.path)
            raise PermissionDenied
        need = needs.of(request.method)
        if not request.user.is_authenticated:
            if isinstance(need, Everybody):
                return None
            return self.handle_no_permission(request, view_func)
        asking.access = access_of(request.user, view_kwargs.get("project"))
        if isinstance(need, ProjectRole) and asking.access.project is None:
            raise Http404
        if not asking.access.allows(need):
            raise PermissionDenied(refusal(need))
        return None

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        """Django's own rule; an HTMX request is sent to the login page as a whole page."""
        if request.headers.get("HX-Request"):
            return HttpResponse(
                status=204, headers={"HX-Redirect": resolve_url(settings.LOGIN_URL)}
            )
        if request.path == "/":
            return redirect(settings.LOGIN_URL)
        return super().handle_no_permission(request, view_func)


def _needs_of(request: HttpRequest, view_func: Callable[..., Any]) -> Needs | None:
    declared: Needs | None = getattr(view_func, "needs", None)
    if declared is None and request.resolver_match is not None:
        return OWNERS if "admin" in request.resolver_match.app_names else None
    return declared
