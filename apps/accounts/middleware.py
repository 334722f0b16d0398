"""Default deny: an address answers only to whom its view is declared for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import reverse

from apps.accounts.factors import has_factor, needs_factor
from apps.accounts.models import InstanceRole, User
from apps.accounts.sessions import is_confirmed, is_strong
from apps.api.gate import is_api, refuse
from apps.projects.access import NOBODY, SAFE, Everybody, Needs, access_of, refusal
from apps.projects.models import ProjectRole

logger = logging.getLogger("mist.access")
OWNERS = Needs(InstanceRole.OWNER, InstanceRole.OWNER, sudo="write")
"""For the Django admin, whose views are not ours to mark. It changes everything, roles too."""
TO_CONFIRM = {"reauthenticate", "logout", "theme"}
TO_SET_UP = TO_CONFIRM | {"two_factor", "totp_add", "passkey_add", "passkey_new_options"}
"""What somebody may use who still lacks the second factor that the instance asks for."""


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
        if isinstance(need, Everybody):
            return None
        return self._first_of_all(request, needs)

    def _first_of_all(self, request: HttpRequest, needs: Needs) -> HttpResponseBase | None:
        """Where the person must go before this: to set up a second factor that the instance asks
        for, or to prove that it is still them."""
        user = cast(User, request.user)
        name = request.resolver_match.view_name if request.resolver_match else ""
        if needs_factor(user) and not is_strong(request):
            if not has_factor(user):
                if name not in TO_SET_UP:
                    return _send(request, reverse("two_factor"))
            elif name not in TO_CONFIRM:
                # The session is older than the factor.
                return _ask_again(request)
        if needs.asks_again(request.method) and not is_confirmed(request):
            return _ask_again(request)
        return None

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        """Django's own rule; an HTMX request is sent to the login page as a whole page."""
        if request.headers.get("HX-Request"):
            return _send(request, resolve_url(settings.LOGIN_URL))
        if request.path == "/":
            return redirect(settings.LOGIN_URL)
        return super().handle_no_permission(request, view_func)


def _ask_again(request: HttpRequest) -> HttpResponseBase:
    """To the question who they are, which leads back: to the page itself where one was asked for,
    else to the one with the form, whose content is not taken."""
    part = "HX-Request" in request.headers
    if request.method in SAFE and not part:
        back = request.get_full_path()
    else:
        came_from = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
        parts = urlsplit(came_from)
        back = parts._replace(scheme="", netloc="", fragment="").geturl()
        if parts.netloc != request.get_host() or not back.startswith("/"):
            back = "/"
        messages.warning(request, "Nothing was done yet. Confirm that it is you, then do it again.")
    return _send(request, f"{reverse('reauthenticate')}?{urlencode({'next': back})}")


def _send(request: HttpRequest, address: str) -> HttpResponseBase:
    """A part of a page cannot be another page: then the page as a whole goes there."""
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return redirect(address)


def _needs_of(request: HttpRequest, view_func: Callable[..., Any]) -> Needs | None:
    declared: Needs | None = getattr(view_func, "needs", None)
    if declared is None and request.resolver_match is not None:
        return OWNERS if "admin" in request.resolver_match.app_names else None
    return declared
