"""Whose deeds a request's are."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.accounts.client import client_address
from apps.audit.logs import within_request
from apps.audit.models import ActorKind
from apps.audit.trail import Actor, acting_as

GetResponse = Callable[[HttpRequest], HttpResponse]


def audit_middleware(get_response: GetResponse) -> GetResponse:
    """Give the request an id, which its answer, its lines in the log and its audit events tell,
    and say who acts. An id that the request brings along is not looked at: whoever sends it could
    make it somebody else's."""

    def answer(request: HttpRequest) -> HttpResponse:
        request_id = str(uuid.uuid4())
        with within_request(request_id), acting_as(lambda: actor_of(request, request_id)):
            response = get_response(request)
        response["X-Request-ID"] = request_id
        return response

    return answer


def actor_of(request: HttpRequest, request_id: str) -> Actor:
    """The person of the request, their token, or whoever has not logged in."""
    user = request.user
    known = user.is_authenticated
    token = getattr(request, "token", None)
    kind = ActorKind.TOKEN if token else ActorKind.USER
    return Actor(
        kind if known else ActorKind.VISITOR,
        user.pk,
        str(user) if known else "",
        via=str(token) if token else "",
        address=client_address(request),
        agent=request.headers.get("User-Agent", ""),
        request_id=request_id,
    )
