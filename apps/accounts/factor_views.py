"""Setting up and removing second factors."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.factors import (
    Kind,
    factor_remove,
    factors_of,
    needs_factor,
    passkey_add,
    passkey_options_to_add,
    recovery_codes_make,
    totp_add,
    totp_picture,
    totp_secret,
)
from apps.accounts.forms import CodeForm, PasskeyForm
from apps.accounts.models import InstanceRole, User
from apps.accounts.sessions import strengthen
from apps.projects.access import allow
from apps.projects.confirmation import Question, ask
from apps.projects.fields import decrypt, encrypt

_SECRET = "totp_secret"  # noqa: S105 - a key of the session
"""Of the app that is being set up: in the session, encrypted, never in a form."""
LAST = "Mist asks you for a second factor. Set up another one before you remove this one."


def _frame(title: str, last: str = "") -> dict[str, object]:
    crumbs: list[tuple[str, str | None]] = [("Account", reverse("account"))]
    crumbs.append(("Second factor", reverse("two_factor") if last else None))
    if last:
        crumbs.append((last, None))
    return {"title": title, "crumbs": crumbs, "nav": "account"}


@allow(InstanceRole.MEMBER)
@never_cache
@require_safe
def two_factor(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    factors = factors_of(user)
    context = {
        **_frame("Second factor"),
        "factors": factors,
        "must": needs_factor(user),
    }
    return render(request, "two_factor.html", context)


@allow(InstanceRole.MEMBER, sudo=True)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def totp_new(request: HttpRequest) -> HttpResponse:
    """Set up an app: show its secret, take its first code."""
    user = cast(User, request.user)
    factors = factors_of(user)
    if factors.app is not None:
        return redirect("two_factor")
    kept = request.session.get(_SECRET)
    secret = decrypt(kept) if kept else totp_secret()
    if not kept:
        request.session[_SECRET] = encrypt(secret)
    form = CodeForm(request.POST or None)
    if form.is_valid():
        if totp_add(user=user, secret=secret, code=form.cleaned_data["code"]):
            del request.session[_SECRET]
            return _is_added(request, user, "The app is set up.", had_codes=bool(factors.codes))
        form.add_error("code", "This code is not right. Type the one the app shows now.")
    context = {
        **_frame("Set up an app", "Set up an app"),
        "form": form,
        "picture": totp_picture(user=user, secret=secret),
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
    }
    return render(request, "totp_new.html", context)


@allow(InstanceRole.MEMBER, sudo=True)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def passkey_new(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = PasskeyForm(request.POST or None)
    if form.is_valid():
        given = form.cleaned_data
        had_codes = bool(factors_of(user).codes)
        if passkey_add(user=user, name=given["name"], credential=given["credential"]):
            return _is_added(request, user, "The passkey was added.", had_codes=had_codes)
        form.add_error(None, "The browser's passkey does not fit. Try again.")
    context = {**_frame("Add a passkey", "Add a passkey"), "form": form}
    return render(request, "passkey_new.html", context)


@allow(InstanceRole.MEMBER, sudo=True)
@never_cache
@require_POST
def passkey_new_options(request: HttpRequest) -> HttpResponse:
    """What the browser is to make."""
    return JsonResponse(passkey_options_to_add(cast(User, request.user)))


@allow(InstanceRole.MEMBER, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def totp_remove(request: HttpRequest) -> HttpResponse:
    found = factors_of(cast(User, request.user)).app
    if found is None:
        return redirect("two_factor")
    return _remove(request, found, "the app", "The codes it makes do not count any more.")


@allow(InstanceRole.MEMBER, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def passkey_remove(request: HttpRequest, pk: int) -> HttpResponse:
    mine = Authenticator.objects.filter(user=request.user, type=Kind.WEBAUTHN)
    found = get_object_or_404(mine, pk=pk)
    text = "It does not open Mist any more. Delete it on the device that keeps it, too."
    return _remove(request, found, f"the passkey {found}", text)


def _remove(request: HttpRequest, found: Authenticator, what: str, text: str) -> HttpResponse:
    user = cast(User, request.user)
    last = factors_of(user).count == 1
    if last and needs_factor(user):
        raise PermissionDenied(LAST)
    if request.method != "POST":
        if last:
            text += " The recovery codes end too: from then on the password alone is enough."
        question = Question(
            heading=f"Remove {what}?",
            text=text,
            button=f"Remove {what}",
            back=reverse("two_factor"),
            keep="Keep it",
        )
        return ask(request, question, _frame("Remove", "Remove"))
    factor_remove(factor=found)
    if last:
        strengthen(request, False)
    messages.success(request, f"Removed {what}.")
    return redirect("two_factor")


@allow(InstanceRole.MEMBER, sudo=True)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ask before new ones take the place of the old ones; then show them, this once."""
    user = cast(User, request.user)
    factors = factors_of(user)
    if not factors.any:
        if request.method == "POST":
            messages.error(request, "Recovery codes need an app or a passkey first.")
        return redirect("two_factor")
    if request.method == "POST":
        return _show_codes(request, user)
    question = Question(
        heading="Make new recovery codes?",
        text=f"The {factors.codes_left} codes that are left do not count any more."
        if factors.codes_left
        else "They let you in when your app or your passkey is gone.",
        button="Make new codes",
        back=reverse("two_factor"),
    )
    return ask(request, question, _frame("Recovery codes", "Recovery codes"))


def _is_added(request: HttpRequest, user: User, text: str, *, had_codes: bool) -> HttpResponse:
    strengthen(request, True)
    messages.success(request, text)
    return redirect("two_factor") if had_codes else _show_codes(request, user)


def _show_codes(request: HttpRequest, user: User) -> HttpResponse:
    codes = recovery_codes_make(user=user)
    text = quote(f"Recovery codes of {user.email} for Mist\n\n" + "\n".join(codes) + "\n")
    context = {**_frame("Recovery codes", "Recovery codes"), "codes": codes, "text": text}
    return render(request, "recovery_codes.html", context)
