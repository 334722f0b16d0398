"""Proving again who one is, and ending sessions."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import limits
from apps.accounts.factors import Factors, code_check, factors_of, needs_factor, passkey_check
from apps.accounts.forms import CodeForm, ConfirmForm
from apps.accounts.login_views import credential_of, too_often, where_to
from apps.accounts.models import InstanceRole, User
from apps.accounts.sessions import (
    confirm,
    is_strong,
    session_end,
    sessions_end,
    sessions_of,
    strengthen,
)
from apps.audit.trail import record
from apps.projects.access import allow

WRONG = {
    "password": "This is not your password.",
    "code": "This code is not right, or was used already.",
    "passkey": "This passkey is not one of yours.",
}


@allow(InstanceRole.MEMBER)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Before secrets, deletion and roles: the password or a second factor, and then on."""
    user = cast(User, request.user)
    factors = factors_of(user)
    # Where the instance asks for a second factor, a session without one begins with it.
    by_factor = needs_factor(user) and not is_strong(request) and factors.any
    way = _way(request, factors, by_factor=by_factor)
    password = ConfirmForm(request.POST if way == "password" else None)
    code = CodeForm(request.POST if way == "code" else None)
    wrong, wait = "", 0
    if way == "passkey" or password.is_valid() or code.is_valid():
        guess = limits.PASSWORD if way == "password" else limits.CODE
        tries = limits.tries_of(request, guess, user.email)
        wait = limits.take(*tries)
        if not wait and _proves(request, user, way, password, code):
            limits.give_back(*tries)
            confirm(request)
            if way != "password":
                strengthen(request, True)
            return redirect(where_to(request))
        if not wait:
            wrong = WRONG[way]
            record("user.confirm_fail", user, after={"way": way})
    context = {
        "title": "Confirm that it is you",
        "password": password,
        "code": code,
        "factors": factors,
        "by_factor": by_factor,
        "wrong": wrong,
        "wait": wait,
        "way": way,
        "next": request.POST.get("next") or request.GET.get("next", ""),
    }
    return too_often(render(request, "reauthenticate.html", context), wait)


def _way(request: HttpRequest, factors: Factors, *, by_factor: bool) -> str:
    """How the person proves it: what the form is of, if they may use that way."""
    if request.method != "POST":
        return ""
    if "credential" in request.POST and factors.passkeys:
        return "passkey"
    if "code" in request.POST and factors.any:
        return "code"
    return "" if by_factor else "password"


def _proves(
    request: HttpRequest, user: User, way: str, password: ConfirmForm, code: CodeForm
) -> bool:
    if way == "passkey":
        return passkey_check(user=user, credential=credential_of(request)) is not None
    if way == "code":
        return code_check(user=user, code=code.cleaned_data["code"])
    return bool(user.check_password(password.cleaned_data["password"]))


@allow(InstanceRole.MEMBER)
@require_POST
def session_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of one's own sessions."""
    found = get_object_or_404(sessions_of(cast(User, request.user)), pk=pk)
    session_end(session=found)
    messages.success(request, "The session has ended.")
    return redirect("account")


@allow(InstanceRole.MEMBER)
@require_POST
def sessions_stop(request: HttpRequest) -> HttpResponse:
    """End all of one's own sessions but this one."""
    user = cast(User, request.user)
    count = sessions_end(user=user, keep=request.session.session_key)
    ended = "1 session has" if count == 1 else f"{count} sessions have"
    messages.success(request, f"{ended} ended." if count else "There was no other session.")
    return redirect("account")
