"""Default deny for the API: what its views are declared for (`apps.projects.access.api`), compared
with the token that asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.accounts.models import InstanceRole
from apps.api.models import ApiToken, Scope
from apps.api.problems import Problem, plain_problem
from apps.projects.access import ApiNeed, Everybody, access_of, api_needs_of, refusal
from apps.projects.models import ProjectRole

logger = logging.getLogger("mist.access")
ROOT = "/api/"
HOOKS = "/hooks/"
NOT_HERE = "There is nothing here, or nothing that this token may see."
NO_HOOK = "There is no such hook, or it was revoked."


def is_api(request: HttpRequest) -> bool:
    """Whether the address is one of the API: tokens count there and nowhere else, cookies nowhere
    there."""
    return request.path_info.startswith(ROOT)


def is_hook(request: HttpRequest) -> bool:
    """Whether the address is one where Git hosts and other programs tell something: neither
    tokens nor cookies count there."""
    return request.path_info.startswith(HOOKS)


def token_of(request: HttpRequest) -> ApiToken | None:
    found: ApiToken | None = getattr(request, "token", None)
    return found


def refuse(
    request: HttpRequest, view: Callable[..., Any], kwargs: Mapping[str, Any]
) -> HttpResponse | None:
    """Why the view may not run; None when it may, and then `request.access` says what its person
    may do. A view that declares nothing is closed to every token."""
    needs = api_needs_of(view)
    if needs is None:
        logger.error("Nobody may use %s: its view declares no scope.", request.path)
        return plain_problem(403, "Nobody may use this.")
    method = "GET" if request.method == "HEAD" else request.method or ""
    need = needs.get(method)
    token = token_of(request)
    if token is None and not (need and isinstance(need.role, Everybody)):
        return no_token(request)
    if need is None:
        allow = ", ".join(sorted({*needs, *(["HEAD"] if "GET" in needs else [])}))
        return plain_problem(405, f"This address knows {allow}.", {"Allow": allow})
    return None if token is None else _compare(request, token, need, kwargs.get("project"))


def no_token(request: HttpRequest) -> HttpResponse:
    """RFC 6750, 3: without a token no error code, with one that does not work the reason."""
    if "Authorization" in request.headers:
        return Problem(
            "invalid-token",
            "The token is unknown, expired or revoked, or its person may not log in any more.",
            headers={"WWW-Authenticate": 'Bearer realm="Mist", error="invalid_token"'},
        ).response()
    return Problem(
        "no-token",
        "Send a token of yours in the header: Authorization: Bearer mist_…",
        headers={"WWW-Authenticate": 'Bearer realm="Mist"'},
    ).response()


def _compare(
    request: HttpRequest, token: ApiToken, need: ApiNeed, project: str | None
) -> HttpResponse | None:
    if need.scope is not None and not token.may(need.scope):
        return _lacks(need.scope)
    access: Any = access_of(token.user, project)
    asking: Any = request
    asking.access = access
    elsewhere = token.project is not None and project not in (None, token.project.slug)
    if isinstance(need.role, ProjectRole) and (access.project is None or elsewhere):
        return plain_problem(404, NOT_HERE)
    if not access.allows(need.role):
        return Problem("insufficient-role", refusal(need.role)).response()
    of_instance = isinstance(need.role, InstanceRole) and need.role is not InstanceRole.MEMBER
    if of_instance and token.project is not None:
        words = f"This token is for the project {token.project} alone."
        return Problem("insufficient-scope", words).response()
    return None


def _lacks(scope: Scope) -> HttpResponse:
    challenge = f'Bearer realm="Mist", error="insufficient_scope", scope="{scope.value}"'
    return Problem(
        "insufficient-scope",
        f"This needs a token with the scope {scope.value}.",
        headers={"WWW-Authenticate": challenge},
    ).response()
