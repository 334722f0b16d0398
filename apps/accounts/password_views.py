"""A new password for who has forgotten theirs, by mail."""

from __future__ import annotations

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlsafe_base64_decode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts import limits
from apps.accounts.forms import ForgottenForm, NewPasswordForm
from apps.accounts.login_views import too_often
from apps.accounts.models import User
from apps.accounts.services import password_forgotten, password_set
from apps.projects.access import EVERYBODY, allow

NO_WORKER = "Mist cannot send mail at this moment. Try again in a few minutes."
_TOKEN = "password_reset_token"  # noqa: S105 - a key of the session


@allow(EVERYBODY)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password_forget(request: HttpRequest) -> HttpResponse:
    """Ask for a link. The answer is the same whether there is such a person or not."""
    form = ForgottenForm(request.POST or None)
    wait, sent = 0, False
    if settings.EMAIL_URL and form.is_valid():
        email = form.cleaned_data["email"].strip().lower()
        wait = limits.take(limits.address_of(request, limits.MAIL))
        if not wait:
            # Nobody's mailbox is filled. That it was enough is not told: earlier links still work.
            sent = bool(limits.take((limits.MAIL_TO, email))) or password_forgotten(email=email)
            if not sent:
                form.add_error("email", NO_WORKER)
    context = {
        "title": "Forgotten password",
        "form": form,
        "mails": bool(settings.EMAIL_URL),
        "sent": sent,
        "wait": wait,
    }
    return too_often(render(request, "password_forget.html", context), wait)


@allow(EVERYBODY)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password_reset(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Follow the link: the proof moves into the session, so that no address with it is left in a
    history or sent to another site. Who has a second factor still gives it at the next log-in."""
    if token != "set":  # noqa: S105 - a word of the address
        request.session[_TOKEN] = token
        return redirect("password_reset", uid, "set")
    tries = limits.address_of(request)
    wait = limits.take(tries)
    user = None if wait else _user_of(uid)
    proof = request.session.get(_TOKEN, "")
    if user is None or not default_token_generator.check_token(user, proof):
        context = {"title": "New password", "wait": wait}
        return too_often(render(request, "password_reset.html", context, status=404), wait)
    limits.give_back(tries)
    form = NewPasswordForm(request.POST or None, user=user)
    if form.is_valid():
        # Every session of theirs ends, and this browser may be in one. The proof goes with it.
        auth.logout(request)
        password_set(user=user, password=form.cleaned_data["password"])
        messages.success(request, "Your password was changed. Log in with the new one.")
        return redirect("login")
    return render(request, "password_reset.html", {"title": "New password", "form": form})


def _user_of(uid: str) -> User | None:
    try:
        pk = int(urlsafe_base64_decode(uid).decode("ascii"))
    except ValueError:
        return None
    return User.objects.filter(pk=pk, is_active=True).first()
