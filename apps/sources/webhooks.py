"""Where Git hosts and other programs tell Mist something. Nobody logs in here: a message is signed,
or its address is the secret. Nothing is read, let alone done, before that is found to be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from apps.accounts.client import client_address
from apps.accounts.limits import Rule, take
from apps.api.gate import NO_HOOK
from apps.api.problems import Problem, plain_problem
from apps.audit.logs import request_id
from apps.audit.models import ActorKind
from apps.audit.trail import Actor, acting_as
from apps.projects.access import EVERYBODY, allow
from apps.sources.deliveries import (
    Answer,
    Message,
    Origin,
    as_json,
    carry_out,
    delivery_refuse,
    delivery_take,
)
from apps.sources.github_hooks import carry_out_for_app
from apps.sources.hook_services import deploy_hook_use
from apps.sources.hosts import signing, table
from apps.sources.hosts.reading import Event, Malformed, json_in, read_json
from apps.sources.models import Delivery, HostKind
from apps.sources.selectors import deploy_hook_by_secret, github_app_at, webhook_at
from apps.system.planning import dashboard_url

BODY_MAX = 5 * 1024 * 1024
"""Bytes of one message."""
DEPLOYS = Rule("deploy-hook", 10, 6)
"""Of one deploy hook: so many at once, and one more each so many seconds."""


@allow(EVERYBODY)
@csrf_exempt
def webhook(request: HttpRequest, kind: str, public_id: str) -> HttpResponse:
    """A project's webhook for one kind of Git host."""
    if request.method != "POST":
        return _only_post()
    found = webhook_at(kind, public_id)
    if found is None:
        return plain_problem(404, NO_HOOK)
    return receive(
        request,
        kind=kind,
        secret=found.secret,
        origin=Origin(webhook=found),
        name=str(found),
        answer=lambda event, payload: carry_out(found, event),
    )


@allow(EVERYBODY)
@csrf_exempt
def github_app_webhook(request: HttpRequest, public_id: str) -> HttpResponse:
    """The webhook of a GitHub App, for everything that it is installed on."""
    if request.method != "POST":
        return _only_post()
    found = github_app_at(public_id)
    if found is None:
        return plain_problem(404, NO_HOOK)
    return receive(
        request,
        kind=HostKind.GITHUB,
        secret=found.webhook_secret,
        origin=Origin(github_app=found),
        name=f"GitHub App {found}",
        answer=lambda event, payload: carry_out_for_app(found, event, payload),
    )


@sensitive_variables("secret")
def receive(
    request: HttpRequest,
    *,
    kind: str,
    secret: str,
    origin: Origin,
    name: str,
    answer: Callable[[Event, dict[str, Any]], Answer],
) -> HttpResponse:
    """Take a message if it is signed with the secret, and say what became of it.

    `answer` only writes rows; it is called at most once for a delivery, and what it did and that
    it was done is one transaction. `name` is who the audit trail says has acted.
    """
    body = request.read(BODY_MAX + 1)
    if len(body) > BODY_MAX:
        size = BODY_MAX // 1024 // 1024
        return plain_problem(413, f"A message to a webhook has at most {size} MB.")
    event = table.event_name(kind, request.headers)
    delivery_id = table.delivery_name(kind, request.headers, body)
    try:
        signing.check(kind, secret, request.headers, body)
        text = json_in(request.headers.get("Content-Type", ""), body)
        payload = read_json(text)
        read = table.read_event(kind, event, payload)
    except signing.BadSignature as error:
        delivery_refuse(origin=origin, event=event, delivery_id="", words=str(error))
        return plain_problem(403, f"The message was not taken: {error}.")
    except Malformed as error:
        words = f"malformed: {error}"
        delivery_refuse(origin=origin, event=event, delivery_id=delivery_id, words=words)
        return plain_problem(400, f"The message was not taken. {error}")
    with acting_as(_actor(request, name)):
        done = delivery_take(
            origin=origin,
            message=Message(event, delivery_id, text),
            carry_out=lambda: answer(read, payload),
        )
    status = 202 if done.outcome == Delivery.Outcome.DEPLOYED else 200
    return JsonResponse(as_json(done), status=status)


@allow(EVERYBODY)
@csrf_exempt
@sensitive_variables("secret")
def deploy_hook(request: HttpRequest, secret: str) -> HttpResponse:
    """Deploy the app whose hook it is: its branch, as it is now."""
    if request.method != "POST":
        return _only_post()
    found = deploy_hook_by_secret(secret)
    if found is None:
        return plain_problem(404, NO_HOOK)
    if wait := take((DEPLOYS, str(found.pk))):
        raise Problem(
            "too-many",
            f"This hook was used too often. The next time may be in {wait} s.",
            headers={"Retry-After": str(wait)},
        )
    with acting_as(_actor(request, f"Deploy hook {found}")):
        made = deploy_hook_use(hook=found)
    where = [found.app.project.slug, found.app.slug, made.number]
    url = dashboard_url() + reverse("deployment", args=where)
    shape = {"app": str(found.app), "deployment": made.number, "status": made.status, "url": url}
    return JsonResponse(shape, status=202)


def _actor(request: HttpRequest, name: str) -> Actor:
    return Actor(
        ActorKind.WEBHOOK,
        name=name,
        address=client_address(request),
        agent=request.headers.get("User-Agent", ""),
        request_id=request_id(),
    )


def _only_post() -> HttpResponse:
    return plain_problem(405, "This address takes POST alone.", {"Allow": "POST"})
