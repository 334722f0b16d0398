"""Default deny: who has not logged in sees nothing but the pages that say they are open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url


class _LoginRequired(LoginRequiredMiddleware):
    """Django's own rule; an HTMX request is sent to the login page as a whole page."""

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        if request.headers.get("HX-Request"):
            return HttpResponse(
                status=204, headers={"HX-Redirect": resolve_url(settings.LOGIN_URL)}
            )
        if request.path == "/":
            return redirect(settings.LOGIN_URL)
        return super().handle_no_permission(request, view_func)


login_required_by_default = _LoginRequired
