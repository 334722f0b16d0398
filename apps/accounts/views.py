"""One's own account."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.factors import factors_of
from apps.accounts.forms import AccountForm, PasswordForm
from apps.accounts.limits import PASSWORD, give_back, take, tries_of
from apps.accounts.login_views import too_often, where_to
from apps.accounts.models import InstanceRole, User
from apps.accounts.services import account_update, password_set, shortcuts_set
from apps.accounts.sessions import places_of, session_keep
from apps.projects.access import allow

THEME_COOKIE = "mist_theme"
THEMES = ("light", "dark")
THEME_SECONDS = 365 * 86_400


@allow(InstanceRole.MEMBER)
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Light, dark or, with no cookie, the system's own."""
    answer = redirect(where_to(request))
    wanted = request.POST.get("theme", "")
    if wanted in THEMES:
        answer.set_cookie(THEME_COOKIE, wanted, max_age=THEME_SECONDS, samesite="Lax")
    else:
        answer.delete_cookie(THEME_COOKIE, samesite="Lax")
    return answer


@allow(InstanceRole.MEMBER)
@require_POST
def shortcuts(request: HttpRequest) -> HttpResponse:
    on = request.POST.get("shortcuts") == "on"
    shortcuts_set(user=cast(User, request.user), on=on)
    messages.success(request, f"Single-key shortcuts are {'on' if on else 'off'}.")
    return redirect("account")


@allow(InstanceRole.MEMBER)
@sensitive_post_parameters("current", "new")
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    changes = request.POST.get("form") if request.method == "POST" else None
    person = AccountForm(request.POST if changes == "name" else None, initial={"name": user.name})
    tries = tries_of(request, PASSWORD, user.email)
    wait = take(*tries) if changes == "password" else 0
    password = PasswordForm(request.POST if changes == "password" and not wait else None, user=user)
    if changes == "password" and not wait and not password.errors.get("current"):
        give_back(*tries)
    if person.is_valid():
        account_update(user=user, name=person.cleaned_data["name"])
        messages.success(request, "Your name was saved.")
        return redirect("account")
    if password.is_valid():
        password_set(
            user=user,
            password=password.cleaned_data["new"],
            action="password.change",
            keep=request.session.session_key,
        )
        session_keep(request)
        messages.success(request, "Your password was changed. Other sessions have ended.")
        return redirect("account")
    context = {
        "title": "Account",
        "crumbs": [("Account", None)],
        "nav": "account",
        "wait": wait,
        "person": person,
        "password": password,
        "places": places_of(user, request.session.session_key),
        "factors": factors_of(user),
    }
    return too_often(render(request, "account.html", context), wait)
