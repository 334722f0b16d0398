"""Logging in and out, and one's own account."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import auth, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.forms import AccountForm, LoginForm, PasswordForm
from apps.accounts.models import InstanceRole, User
from apps.accounts.selectors import anyone_exists
from apps.accounts.services import account_update, password_set, shortcuts_set
from apps.deployments import events
from apps.projects.access import EVERYBODY, allow

THEME_COOKIE = "mist_theme"
THEMES = ("light", "dark")
THEME_SECONDS = 365 * 86_400


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
    wrong = False
    if form.is_valid():
        given = form.cleaned_data
        # Django hashes a password for an unknown address too, so both take the same time.
        user = auth.authenticate(
            request, username=given["email"].strip(), password=given["password"]
        )
        if user is not None:
            auth.login(request, user)
            return redirect(where_to(request))
        wrong = True
    context = {
        "title": "Log in",
        "form": form,
        "wrong": wrong,
        "next": request.POST.get("next") or request.GET.get("next", ""),
        "fresh": not anyone_exists(),
    }
    return render(request, "login.html", context)


@allow(InstanceRole.MEMBER)
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    auth.logout(request)
    events.access_changed(user_id=user.pk)
    return redirect("login")


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
    password = PasswordForm(request.POST if changes == "password" else None, user=user)
    if person.is_valid():
        account_update(user=user, name=person.cleaned_data["name"])
        messages.success(request, "Your name was saved.")
        return redirect("account")
    if password.is_valid():
        password_set(user=user, password=password.cleaned_data["new"])
        auth.update_session_auth_hash(request, user)
        messages.success(request, "Your password was changed. Other sessions have ended.")
        return redirect("account")
    context = {
        "title": "Account",
        "crumbs": [("Account", None)],
        "nav": "account",
        "person": person,
        "password": password,
    }
    return render(request, "account.html", context)
