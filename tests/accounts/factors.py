"""What the tests of signing in share."""

from __future__ import annotations

import re
import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.test import Client

from apps.accounts.factors import recovery_codes_make, totp_add, totp_secret
from apps.accounts.models import User
from tests.conftest import PASSWORD


def code_of(secret: str, *, steps: int = 0) -> str:
    """What an app that knows the secret shows now, or some steps of 30 seconds later."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps)))


def with_app(user: User) -> tuple[str, list[str]]:
    """Give the person an app. Returns its secret and their recovery codes."""
    secret = totp_secret()
    assert totp_add(user=user, secret=secret, code=code_of(secret, steps=-1))
    return secret, recovery_codes_make(user=user)


def log_in(client: Client, user: User, password: str = PASSWORD, **given: str) -> str:
    """Where the log-in leads; empty when it does not."""
    answer = client.post("/login/", {"email": user.email, "password": password, **given})
    return answer.get("Location", "")


def is_inside(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def secret_on(page: str) -> str:
    """The key that the page shows to type in."""
    found = re.search(r'id="totp-key">([A-Z2-7 ]+)<', page)
    assert found is not None
    return found[1].replace(" ", "")
