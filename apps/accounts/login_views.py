"""Logging in and out: a password and, where one is set up, a second factor, or a passkey alone."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib import auth, messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import limits
from apps.accounts.factors import (
    code_check,
    factors_of,
    has_factor,
    passkey_check,
    passkey_options,
)
from apps.accounts.forms import CodeForm, LoginForm
from apps.accounts.models import InstanceRole, User
from apps.accounts.selectors import anyone_exists
from apps.accounts.sessions import sign_in
from apps.audit.trail import record
from apps.deployments import events
from apps.projects.access import EVERYBODY, allow

_HALF = "half_logged_in"
HALF_SECONDS = 600
"""For how long a right password waits for its second factor."""
NO_PASSKEY = "This passkey is not known here. Try another one, or log in with your password."


def where_to(request: HttpRequest) -> str:
    """`next` where it is a path of ours, else the dashboard."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    # Django takes a word for the name of a view, and fails when there is none of it.
    if wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)


@allow(EVERYBODY)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(where_to(request))
    form = LoginForm(request.POST or None)
    if not form.is_valid():
        return _login_page(request, form)
    email = form.cleaned_data["email"].strip().lower()
    tries = limits.tries_of(request, limits.PASSWORD, email)
    if wait := limits.take(*tries):
        return _login_page(request, form, wait=wait)
    # Django hashes a password for an unknown address too, so both take the same time.
    user = auth.authenticate(request, username=email, password=form.cleaned_data["password"])
    if user is None:
        _note_failure(User.objects.filter(email=email).first(), way="password")
        return _login_page(request, form, wrong=True)
    limits.give_back(*tries)
    if not has_factor(user):
        return _let_in(request, user, way="password", strong=False)
    _begin_half(request, user)
    query = {"next": request.POST["next"]} if request.POST.get("next") else {}
    return redirect(f"{reverse('login_code')}?{urlencode(query)}" if query else "login_code")


def _login_page(
    request: HttpRequest, form: LoginForm, *, wrong: bool = False, wait: int = 0
) -> HttpResponse:
    context = {
        "title": "Log in",
        "form": form,
        "wrong": wrong,
        "wait": wait,
        "next": request.POST.get("next") or request.GET.get("next", ""),
        "fresh": not anyone_exists(),
        "mails": bool(settings.EMAIL_URL),
    }
    return too_often(render(request, "login.html", context), wait)


@allow(EVERYBODY)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login_code(request: HttpRequest) -> HttpResponse:
    """The second factor of who has given the right password."""
    user = _half(request)
    if user is None:
        return redirect("dashboard" if request.user.is_authenticated else "login")
    form = CodeForm(request.POST or None)
    wrong, wait = False, 0
    if form.is_valid():
        tries = limits.tries_of(request, limits.CODE, user.email)
        wait = limits.take(*tries)
        if not wait and code_check(user=user, code=form.cleaned_data["code"]):
            limits.give_back(*tries)
            return _let_in(request, user, way="password and code", strong=True)
        if not wait:
            wrong = True
            _note_failure(user, way="code")
    context = {
        "title": "Second factor",
        "form": form,
        "wrong": wrong,
        "wait": wait,
        "factors": factors_of(user),
        "next": request.POST.get("next") or request.GET.get("next", ""),
    }
    return too_often(render(request, "login_code.html", context), wait)


@allow(EVERYBODY)
@never_cache
@require_POST
def passkey_challenge(request: HttpRequest) -> HttpResponse:
    """What a passkey is to sign: of who is logged in or half so, else anybody's."""
    if wait := limits.take(limits.address_of(request)):
        return too_often(JsonResponse({"wait": wait}), wait)
    user = request.user if request.user.is_authenticated else _half(request)
    return JsonResponse(passkey_options(user))


@allow(EVERYBODY)
@never_cache
@require_POST
def login_passkey(request: HttpRequest) -> HttpResponse:
    """Log in with a passkey: alone, since it asked for a finger, a face or a PIN, or after a
    password."""
    if request.user.is_authenticated:
        return redirect(where_to(request))
    if wait := limits.take(limits.address_of(request)):
        return _login_page(request, LoginForm(), wait=wait)
    half = _half(request)
    user = passkey_check(user=half, credential=credential_of(request))
    if user is None or not user.is_active:
        _note_failure(half or user, way="passkey")
        messages.error(request, NO_PASSKEY)
        back = reverse("login" if half is None else "login_code")
        query = request.POST.get("next")
        return redirect(f"{back}?{urlencode({'next': query})}" if query else back)
    limits.give_back(limits.address_of(request))
    way = "passkey" if half is None else "password and passkey"
    return _let_in(request, user, way=way, strong=True)


@allow(InstanceRole.MEMBER)
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    record("user.logout", user)
    auth.logout(request)
    events.access_changed(user_id=user.pk)
    return redirect("login")


def credential_of(request: HttpRequest) -> Any:
    """What the browser's passkey answered; None when that is no JSON."""
    try:
        return json.loads(request.POST.get("credential", ""))
    except ValueError:
        return None


def too_often(answer: HttpResponse, wait: int) -> HttpResponse:
    """429 when somebody has to wait first (RFC 6585, 4)."""
    if wait:
        answer.status_code = HTTPStatus.TOO_MANY_REQUESTS
        answer["Retry-After"] = str(wait)
    return answer


def _let_in(request: HttpRequest, user: User, *, way: str, strong: bool) -> HttpResponse:
    request.session.pop(_HALF, None)
    target = where_to(request)
    sign_in(request, user, way=way, strong=strong)
    answer = redirect(target)
    limits.remember_device(request, answer, user.email)
    return answer


def _begin_half(request: HttpRequest, user: User) -> None:
    """The password was right: remembered on the server, under a new key."""
    request.session.flush()
    request.session[_HALF] = {
        "user": user.pk,
        "at": time.time(),
        "hash": user.get_session_auth_hash(),
    }


def _half(request: HttpRequest) -> User | None:
    """Who has given the right password and still owes a second factor."""
    found = request.session.get(_HALF)
    if not found or abs(time.time() - found["at"]) > HALF_SECONDS:
        return None
    user = User.objects.filter(pk=found["user"], is_active=True).first()
    if user is None or not constant_time_compare(found["hash"], user.get_session_auth_hash()):
        return None
    return user


def _note_failure(user: User | None, *, way: str) -> None:
    """What was typed as an address of nobody is not kept: it may have been a password."""
    record("user.login_fail", user, name="" if user else "An unknown address", after={"way": way})
