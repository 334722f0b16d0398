"""The API: what a token may see and do. Whether it may, the middleware has found out before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from apps.accounts.models import InstanceRole
from apps.api import bodies
from apps.api.gate import token_of
from apps.api.idempotency import once
from apps.api.models import ApiToken, Scope
from apps.api.openapi import description
from apps.api.problems import Problem
from apps.api.selectors import apps_reachable_with
from apps.api.shapes import SETTINGS, app_shape, deployment_shape, token_shape
from apps.deployments import services
from apps.deployments.models import Deployment, Status
from apps.deployments.selectors import deployments_of, live_deployment, with_state
from apps.engine.errors import InvalidSource
from apps.projects.access import EVERYBODY, api
from apps.projects.forms import AppForm
from apps.projects.models import App, ProjectRole
from apps.projects.services import app_update

ROWS = 50
READ_APP = (Scope.READ, ProjectRole.VIEWER)
DEPLOY = (Scope.DEPLOY, ProjectRole.DEVELOPER)
DEPLOY_FIELDS: dict[str, bodies.Check] = {
    "ref": bodies.ref,
    "commit": bodies.commit,
    "no_cache": bodies.boolean,
}
IMAGE_FIELDS: dict[str, bodies.Check] = {
    "ref": bodies.image_version,
    "image": bodies.image_name,
}
"""Of an app that is a ready image."""
ROLLBACK_FIELDS: dict[str, bodies.Check] = {"old_variables": bodies.boolean}


def _token(request: HttpRequest) -> ApiToken:
    token = token_of(request)
    assert token is not None, "The gate lets nobody in without one."
    return token


def _apps(request: HttpRequest) -> QuerySet[App]:
    live = Deployment.objects.filter(app=OuterRef("pk"), status=Status.LIVE).values("number")[:1]
    return with_state(apps_reachable_with(_token(request))).annotate(live_number=Subquery(live))


def _app(request: HttpRequest, project: str, app: str) -> App:
    return get_object_or_404(_apps(request), project__slug=project, slug=app)


def _deployment(request: HttpRequest, project: str, app: str, number: int) -> Deployment:
    return get_object_or_404(deployments_of(_app(request, project, app)), number=number)


def _number(request: HttpRequest, name: str) -> int:
    """A whole number from 1 in the query, 0 where there is none."""
    given = request.GET.get(name)
    if given is None:
        return 0
    if not (given.isascii() and given.isdecimal() and 1 <= len(given) <= 9 and int(given)):
        raise bodies.invalid({name: ["This is a whole number from 1."]})
    return int(given)


def _accepted(deployment: Deployment) -> HttpResponse:
    """It is queued: where it can be asked for, and what it is now."""
    shape = deployment_shape(deployment)
    return JsonResponse(shape, status=202, headers={"Location": shape["links"]["self"]})


@api(get=EVERYBODY)
def openapi(request: HttpRequest) -> HttpResponse:
    return JsonResponse(description())


@api(get=(Scope.READ, InstanceRole.MEMBER))
def token(request: HttpRequest) -> HttpResponse:
    """What the token itself may do."""
    return JsonResponse(token_shape(_token(request)))


@api(get=(Scope.READ, InstanceRole.MEMBER))
def app_list(request: HttpRequest) -> HttpResponse:
    page = _number(request, "page") or 1
    start = (page - 1) * ROWS
    found = list(_apps(request).order_by("project__slug", "slug")[start : start + ROWS + 1])
    more = f"{reverse('api:app_list')}?page={page + 1}" if len(found) > ROWS else None
    return JsonResponse({"apps": [app_shape(app) for app in found[:ROWS]], "next": more})


@api(
    get=READ_APP,
    patch=(Scope.WRITE, ProjectRole.DEVELOPER),
    delete=(Scope.ADMIN, ProjectRole.ADMIN),
)
def app(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = _app(request, project, app)
    if request.method == "PATCH":
        return _change(request, found)
    if request.method == "DELETE":
        services.app_delete(app=found)
        return HttpResponse(status=204)
    return JsonResponse(app_shape(found))


def _change(request: HttpRequest, app: App) -> HttpResponse:
    """Settings that are named are changed, through the form of the settings page; the others stay
    what they are."""
    checks = {name: _typed(AppForm.base_fields[name], name) for name in SETTINGS}
    given = bodies.fields(bodies.read_body(request), checks)
    data = {name: getattr(app, name) for name in SETTINGS} | given
    plain = {name: "" if value is None else str(value) for name, value in data.items()}
    form = AppForm(plain, project=app.project, instance=app)
    if not form.is_valid():
        raise bodies.invalid({name: [str(e) for e in es] for name, es in form.errors.items()})
    app_update(app=app, **form.settings())
    return JsonResponse(app_shape(app))


def _typed(field: forms.Field, name: str) -> Callable[[Any], Any]:
    """JSON knows numbers and texts apart; a form does not."""
    number = name == "port" or isinstance(field, forms.IntegerField)
    kinds: tuple[type, ...] = (int, float) if isinstance(field, forms.DecimalField) else (int,)

    def check(value: Any) -> Any:
        if isinstance(field, forms.BooleanField):
            if not isinstance(value, bool):
                raise ValueError("This is true or false.")
            return value
        if not number:
            return bodies.text(value)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise ValueError("This is a number, or null for Mist's own choice.")
        return value

    return check


@api(post=DEPLOY)
def app_deploy(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Queue a deployment of the branch, of another ref, or of one commit; of a ready image, of its
    tag or another one."""
    found = _app(request, project, app)
    body = bodies.read_body(request)
    given = bodies.fields(body, DEPLOY_FIELDS if found.has_code else IMAGE_FIELDS)
    user = _token(request).user

    def ask() -> HttpResponse:
        try:
            made = services.deployment_request(
                app=found, requested_by=user, trigger=Deployment.Trigger.API, **given
            )
        except InvalidSource as error:
            raise bodies.invalid({"image": [error.sentence]}) from error
        return _accepted(made)

    return once(request, body, ask)


@api(post=DEPLOY)
def app_restart(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = _app(request, project, app)
    bodies.fields(bodies.read_body(request), {})
    if live_deployment(found) is None:
        raise Problem("nothing-runs", "This app has no version that could start again. Deploy it.")
    services.app_restart(app=found)
    return JsonResponse(app_shape(found), status=202)


@api(get=READ_APP)
def deployment_list(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """The newest first; `before` goes on where the last answer ended."""
    found = _app(request, project, app)
    rows = deployments_of(found)
    if before := _number(request, "before"):
        rows = rows.filter(number__lt=before)
    page = list(rows[: ROWS + 1])
    here = reverse("api:deployment_list", args=[project, app])
    more = f"{here}?before={page[ROWS - 1].number}" if len(page) > ROWS else None
    return JsonResponse({"deployments": [deployment_shape(d) for d in page[:ROWS]], "next": more})


@api(get=READ_APP)
def deployment(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    return JsonResponse(deployment_shape(_deployment(request, project, app, number)))


@api(post=DEPLOY)
def deployment_cancel(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    found = _deployment(request, project, app, number)
    bodies.fields(bodies.read_body(request), {})
    if not services.deployment_cancel(deployment=found, by=_token(request).user):
        raise Problem("over", f"Deployment {number} is {found.get_status_display().lower()}.")
    fresh = _deployment(request, project, app, number)
    return JsonResponse(deployment_shape(fresh), status=202)


@api(post=DEPLOY)
def deployment_rollback(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    """Queue a deployment that runs the image of this one again."""
    found = _deployment(request, project, app, number)
    body = bodies.read_body(request)
    given = bodies.fields(body, ROLLBACK_FIELDS)
    user = _token(request).user

    def roll_back() -> HttpResponse:
        try:
            made = services.deployment_rollback(to=found, requested_by=user, **given)
        except services.NotKept as error:
            raise Problem("not-kept", str(error)) from error
        return _accepted(made)

    return once(request, body, roll_back)
