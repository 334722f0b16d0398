"""What is different below /api/ and /hooks/: no cookies, problems instead of pages, and for the API
a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from apps.accounts.client import client_address
from apps.api.gate import NO_HOOK, NOT_HERE, is_api, is_hook
from apps.api.limits import seconds_to_wait
from apps.api.problems import Problem, plain_problem
from apps.api.selectors import token_by_secret
from apps.api.services import token_note_use

GetResponse = Callable[[HttpRequest], HttpResponse]
JSON_KINDS = ("application/json", "application/problem+json")
WORDS = {
    400: "The request is not understood.",
    403: "You may not do this.",
    404: NOT_HERE,
    405: "This address does not know that method.",
    413: "The request is too large.",
    500: "Something went wrong in Mist. The reason is in its log on the server.",
    503: "Mist's database does not answer. Try again in some seconds.",
}


class ApiMiddleware:
    """Around everything that knows of sessions. No cookie reaches the API or a hook, so none can
    count there and no other site can use the browser of somebody who is logged in; and whatever
    answers in words for people there answers a problem."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _is_for_programs(request):
            return self._get_response(request)
        request.COOKIES = {}
        answer = self._get_response(request)
        if answer.status_code >= 400 and _kind(answer) not in JSON_KINDS:
            answer = _as_problem(answer, nothing=NO_HOOK if is_hook(request) else NOT_HERE)
        answer["Cache-Control"] = "no-store"
        return answer

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not _is_for_programs(request):
            return None
        if isinstance(error, Problem):
            return error.response()
        if isinstance(error, Http404):
            return plain_problem(404, NO_HOOK if is_hook(request) else NOT_HERE)
        if isinstance(error, PermissionDenied):
            return plain_problem(403, str(error) or WORDS[403])
        return None


def _is_for_programs(request: HttpRequest) -> bool:
    return is_api(request) or is_hook(request)


def _kind(answer: HttpResponse) -> str:
    return answer.get("Content-Type", "").partition(";")[0]


def _as_problem(page: HttpResponse, *, nothing: str) -> HttpResponse:
    """What a page says to people, in the form of the API; its headers stay."""
    words = nothing if page.status_code == 404 else WORDS.get(page.status_code)
    answer = plain_problem(page.status_code, words or "This cannot be done.")
    for name, value in page.items():
        if name not in ("Content-Type", "Content-Length"):
            answer[name] = value
    answer["Content-Length"] = str(len(answer.content))
    return answer


def token_middleware(get_response: GetResponse) -> GetResponse:
    """Make the person of the token the one who asks, and count the request. Whether the token may
    do what is asked the middleware of access says."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            return get_response(request)
        asking: Any = request
        token = token_by_secret(_bearer(request))
        asking.user = AnonymousUser() if token is None else token.user
        asking.token = token
        if token is not None:
            if wait := seconds_to_wait(token):
                return Problem(
                    "too-many",
                    f"This token has used up its requests. The next one may come in {wait} s.",
                    headers={"Retry-After": str(wait)},
                ).response()
            token_note_use(token=token, address=client_address(request))
        return get_response(request)

    return answer


@sensitive_variables("header", "secret")
def _bearer(request: HttpRequest) -> str:
    """What stands in `Authorization: Bearer …` (RFC 6750, 2.1), the only place that counts; empty
    when there is nothing of the kind."""
    header = request.headers.get("Authorization", "")
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
