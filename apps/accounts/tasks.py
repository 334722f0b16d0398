"""Mail about accounts."""

from __future__ import annotations

from celery import shared_task
from django.contrib.auth.tokens import default_token_generator
from django.db import connection
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts.mail import send_mail
from apps.accounts.models import User
from apps.audit.trail import record
from apps.system.planning import dashboard_url


@shared_task(name="apps.accounts.tasks.send_reset_link")  # type: ignore[untyped-decorator]
def send_reset_link(email: str) -> None:
    """Mail the link for a new password."""
    try:
        mail_reset_link(email)
    finally:
        connection.close()


def mail_reset_link(email: str) -> None:
    """To the person with that address, if there is one who may log in."""
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is not None and _send(user):
        record("password.request", user)


def _send(user: User) -> bool:
    """The link is built from `MIST_URL`, never from a request."""
    url = dashboard_url() + reverse("password_reset", kwargs=reset_words(user))
    text = render_to_string("mail/password_reset.txt", {"user": user, "url": url})
    return send_mail(to=user.email, subject="A new password for Mist", text=text)


def reset_words(user: User) -> dict[str, str]:
    """Who and the proof, for the link. It ends with its use, with the next log-in, and with time
    (`PASSWORD_RESET_TIMEOUT`)."""
    return {
        "uid": urlsafe_base64_encode(force_bytes(user.pk)),
        "token": default_token_generator.make_token(user),
    }
