"""Second factors: an app that makes codes (TOTP, RFC 6238), recovery codes, and passkeys.

The models and the checks are django-allauth's. Seeds are encrypted at rest (`adapters`).
"""

from __future__ import annotations

import base64
import functools
import importlib
import re
from dataclasses import dataclass
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, validate_totp_code
from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.limits import Rule, take
from apps.accounts.models import User
from apps.audit.trail import record
from apps.deployments import events

Kind = Authenticator.Type
ONCE = Rule("used-code", 1, 120)
"""A code counts once (RFC 6238, 5.2), also in another process and after a restart."""
NAME_MAX = 60


@dataclass(frozen=True)
class Factors:
    """What a person has set up."""

    app: Authenticator | None
    passkeys: list[Authenticator]
    codes: Authenticator | None
    codes_left: int

    @property
    def any(self) -> bool:
        """Recovery codes alone are none."""
        return self.app is not None or bool(self.passkeys)

    @property
    def count(self) -> int:
        return len(self.passkeys) + (self.app is not None)


def factors_of(user: User) -> Factors:
    found = list(Authenticator.objects.filter(user=user).order_by("pk"))
    single = {row.type: row for row in found if row.type != Kind.WEBAUTHN}
    codes = single.get(Kind.RECOVERY_CODES)
    # Counted without the seed: the page is drawn also when no key reads it.
    used = 0 if codes is None else int(codes.data["used_mask"]).bit_count()
    left = 0 if codes is None else settings.MFA_RECOVERY_CODE_COUNT - used
    passkeys = [row for row in found if row.type == Kind.WEBAUTHN]
    return Factors(single.get(Kind.TOTP), passkeys, codes, left)


def has_factor(user: User) -> bool:
    """Whether a password alone does not let the person in."""
    kinds = (Kind.TOTP, Kind.WEBAUTHN)
    return bool(Authenticator.objects.filter(user=user, type__in=kinds).exists())


def needs_factor(user: User) -> bool:
    """Whether `MIST_REQUIRE_2FA` is meant of the person."""
    required = settings.MIST_REQUIRE_2FA
    return required == "everyone" or (required == "admins" and user.is_admin)


def code_check(*, user: User, code: str) -> bool:
    """Whether it is the app's code of this moment, or a recovery code; it is used up with that."""
    digits = re.sub(r"\s|-", "", code)
    rows = Authenticator.objects.filter(user=user, type__in=(Kind.TOTP, Kind.RECOVERY_CODES))
    for row in rows.order_by("-type"):
        if not row.wrap().validate_code(digits):
            continue
        if row.type == Kind.TOTP and take((ONCE, f"{user.pk} {digits}")):
            return False
        # Not the row as it was read: using a recovery code wrote it.
        Authenticator.objects.get(pk=row.pk).record_usage()
        if row.type == Kind.RECOVERY_CODES:
            record("recovery_code.use", user)
        return True
    return False


# ---------------------------------------------------------------------------------- an app's codes


def totp_secret() -> str:
    return str(generate_totp_secret())


def totp_picture(*, user: User, secret: str) -> str:
    """The QR code as an image address."""
    adapter = get_adapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def totp_add(*, user: User, secret: str, code: str) -> bool:
    """Set up the app that knows the secret. False when its code is not right, or there is one."""
    digits = re.sub(r"\s|-", "", code)
    if not validate_totp_code(secret, digits):
        return False
    with transaction.atomic():
        _lock(user)
        if Authenticator.objects.filter(user=user, type=Kind.TOTP).exists():
            return False
        TOTP.activate(user, secret)
        record("second_factor.add", user, after={"kind": "app"})
    take((ONCE, f"{user.pk} {digits}"))
    return True


@transaction.atomic
def factor_remove(*, factor: Authenticator) -> None:
    """Take the app or the passkey away; with the last one the recovery codes go."""
    user = _lock(factor.user)
    kind, name = ("passkey", str(factor)) if factor.type == Kind.WEBAUTHN else ("app", "")
    factor.delete()
    if not has_factor(user):
        Authenticator.objects.filter(user=user).delete()
    before = {"kind": kind, **({"name": name} if name else {})}
    record("second_factor.remove", user, before=before)
    transaction.on_commit(lambda: events.access_changed(user_id=user.pk))


@transaction.atomic
def factors_remove(*, user: User) -> int:
    """Everything that was set up, for who has lost it. Returns how many factors there were."""
    found = Authenticator.objects.filter(user=_lock(user))
    count = found.exclude(type=Kind.RECOVERY_CODES).count()
    found.delete()
    record("second_factor.reset", user, before={"count": count}, after={"count": 0})
    return int(count)


@transaction.atomic
def recovery_codes_make(*, user: User) -> list[str]:
    """Ten new codes; the old ones end. To be shown this once."""
    _lock(user)
    Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).delete()
    made: list[str] = RecoveryCodes.activate(user).generate_codes()
    record("recovery_codes.make", user)
    return made


def _lock(user: User) -> User:
    """One change at a time of one person's factors."""
    return User.objects.select_for_update().get(pk=user.pk)


# ---------------------------------------------------------------------------------------- passkeys


@functools.cache
def _webauthn() -> Any:
    """Imported at first use: with fido2 it takes memory that a Mist without passkeys can do
    without."""
    return importlib.import_module("allauth.mfa.webauthn.internal.auth")


def passkey_options(user: User | None) -> dict[str, Any]:
    """What the browser is asked to sign: by a passkey of the user, or by anybody's."""
    found: dict[str, Any] = _webauthn().begin_authentication(user)
    return found


def passkey_options_to_add(user: User) -> dict[str, Any]:
    """What the browser is asked to make: a key that names its person and asks for a finger, a face
    or a PIN, so that it is enough to log in with."""
    found: dict[str, Any] = _webauthn().begin_registration(user, passwordless=True)
    return found


def passkey_add(*, user: User, name: str, credential: Any) -> bool:
    """Keep the passkey that the browser made. False when it does not fit what was asked."""
    module = _webauthn()
    try:
        module.parse_registration_response(credential)
        made = module.complete_registration(credential)
    except (ValidationError, ValueError, TypeError, KeyError, InvalidSignature):
        return False
    if not made.is_user_verified():
        return False
    with transaction.atomic():
        _lock(user)
        module.WebAuthn.add(user, name[:NAME_MAX] or "Passkey", credential)
        record("second_factor.add", user, after={"kind": "passkey", "name": name[:NAME_MAX]})
    return True


def passkey_check(*, user: User | None, credential: Any) -> User | None:
    """Whose passkey signed what was asked: the user's, or, with None, anybody's. None when it did
    not."""
    module = _webauthn()
    try:
        module.parse_authentication_response(credential)
        found = user or module.extract_user_from_response(credential)
        authenticator = module.complete_authentication(found, credential)
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError, InvalidSignature):
        return None
    authenticator.record_usage()
    owner: User = authenticator.user
    return owner
