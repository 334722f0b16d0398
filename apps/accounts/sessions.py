"""Who is logged in where, since when, and how sure Mist is that it is still that person.

The list of sessions is django-allauth's; what a session holds beside it is written down here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from allauth.usersessions.models import UserSession
from django.contrib import auth
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.accounts.adapters import UNKNOWN_ADDRESS
from apps.accounts.client import client_address
from apps.accounts.models import User
from apps.audit.trail import record
from apps.deployments import events

CONFIRMED_SECONDS = 15 * 60
"""For how long a password or a second factor is enough for what needs one just given."""
SEEN_SECONDS = 300
"""How exact `last use` is: no page writes it more often."""
_CONFIRMED, _SEEN, _FACTOR = "confirmed_at", "seen_at", "second_factor"
AGENT_MAX = 200
"""What the column holds."""
GetResponse = Callable[[HttpRequest], HttpResponse]


@receiver(user_logged_in, dispatch_uid="mist-session-begins")
def _begins(request: HttpRequest, user: User, **_: Any) -> None:
    request.session[_CONFIRMED] = time.time()
    _note_use(request, user)
    Session.objects.filter(expire_date__lt=timezone.now()).delete()


def session_middleware(get_response: GetResponse) -> GetResponse:
    """Note now and then that a session is used, and from where."""

    def answer(request: HttpRequest) -> HttpResponse:
        # Not who comes with a token: they have no session.
        begun = auth.SESSION_KEY in request.session and request.user.is_authenticated
        if begun and _age(request, _SEEN) > SEEN_SECONDS:
            _note_use(request, cast(User, request.user))
        return get_response(request)

    return answer


def _note_use(request: HttpRequest, user: User) -> None:
    """Not django-allauth's own way, which writes at every request and needs its log-in view."""
    request.session[_SEEN] = time.time()
    if not request.session.session_key:
        request.session.save()
    now = {
        "user": user,
        "ip": client_address(request) or UNKNOWN_ADDRESS,
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:AGENT_MAX],
        "last_seen_at": timezone.now(),
    }
    UserSession.objects.update_or_create(session_key=request.session.session_key, defaults=now)


def sign_in(request: HttpRequest, user: User, *, way: str, strong: bool) -> None:
    """Begin a session, with a new key. `strong`: also a second factor was given, or a passkey."""
    auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session[_FACTOR] = strong
    record("user.login", user, after={"way": way})


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the person has just proved who they are."""
    return _age(request, _CONFIRMED) < CONFIRMED_SECONDS


def confirm(request: HttpRequest) -> None:
    """They have, here and now."""
    request.session[_CONFIRMED] = time.time()


def is_strong(request: HttpRequest) -> bool:
    """Whether the session began with a second factor, or its person set one up since."""
    return bool(request.session.get(_FACTOR))


def strengthen(request: HttpRequest, strong: bool) -> None:
    request.session[_FACTOR] = strong


def _age(request: HttpRequest, name: str) -> float:
    """Seconds. A clock that was set back makes nothing younger."""
    at = request.session.get(name)
    return abs(time.time() - at) if isinstance(at, int | float) else float("inf")


# ------------------------------------------------------------------------------------- the list


@dataclass(frozen=True)
class Place:
    """One session, as its person sees it."""

    session: UserSession
    is_this: bool

    @property
    def device(self) -> str:
        return device_of(self.session.user_agent)

    @property
    def address(self) -> str:
        return "" if self.session.ip == UNKNOWN_ADDRESS else self.session.ip


def sessions_of(user: User) -> QuerySet[UserSession]:
    """Those that have not ended, the one that was used last first."""
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    return cast(
        "QuerySet[UserSession]",
        UserSession.objects.filter(user=user, session_key__in=alive).order_by("-last_seen_at"),
    )


def places_of(user: User, key: str | None) -> list[Place]:
    return [Place(session, session.session_key == key) for session in sessions_of(user)]


@transaction.atomic
def session_end(*, session: UserSession) -> None:
    """Log it out. Its open pages close."""
    user = session.user
    record("session.end", user, after={"device": device_of(session.user_agent)})
    _end(user, UserSession.objects.filter(pk=session.pk))


@transaction.atomic
def sessions_end(*, user: User, keep: str | None = None) -> int:
    """Log the person out everywhere, but for the session with the key `keep`. Returns how many
    ended."""
    ending = UserSession.objects.filter(user=user).exclude(session_key=keep or "")
    count = ending.count()
    if count:
        record("session.end", user, after={"count": count})
    _end(user, ending)
    return int(count)


def session_keep(request: HttpRequest) -> None:
    """The person's password is another one: this session goes on, with a new key."""
    before = request.session.session_key
    auth.update_session_auth_hash(request, cast(User, request.user))
    UserSession.objects.filter(session_key=before).delete()
    _note_use(request, cast(User, request.user))


def _end(user: User, ending: QuerySet[UserSession]) -> None:
    keys = list(ending.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    transaction.on_commit(lambda: events.access_changed(user_id=user.pk))


BROWSERS = (
    ("Edge", r"\bEdgA?/"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chrome", r"\b(HeadlessChrome|Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bVersion/.*\bSafari/"),
    ("curl", r"^curl/"),
)
SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMacintosh\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)


def device_of(agent: str) -> str:
    """`Firefox on Linux`: as much as a browser says about itself that a person recognises."""
    browser = next((name for name, sign in BROWSERS if re.search(sign, agent)), "")
    system = next((name for name, sign in SYSTEMS if re.search(sign, agent)), "")
    return f"{browser or 'A browser'} on {system}" if system else browser or "Unknown device"
