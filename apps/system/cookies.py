"""What Mist's cookies are called: to browsers that came by HTTPS something else than to others.

The dashboard is reached by its own name over HTTPS, and by the server's address, or that name and
Mist's port, over plain HTTP. A browser keeps the cookies of one name together whatever the port,
and lets none that came over plain HTTP take the place of a Secure one: under one name a log-in here
would end, or prevent, the one there.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest, HttpResponseBase

from apps.accounts.limits import DEVICE_COOKIE

SECURE_PREFIX = "__Host-"
"""A browser takes a cookie of this prefix only over HTTPS and from this very host (RFC 6265bis), so
an app at a name beside or below Mist's cannot plant one."""
MESSAGE_COOKIE = "mist_messages"
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class MessageCookie(CookieStorage):
    """What a page says once, signed."""

    cookie_name = MESSAGE_COOKIE


class MessageStorage(FallbackStorage):
    """Django's own, in that cookie."""

    storage_classes = (MessageCookie, SessionStorage)


def own_cookies() -> tuple[str, ...]:
    """Those that say who somebody is, or what they may do."""
    names = settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME
    return (*names, DEVICE_COOKIE, MESSAGE_COOKIE)


def cookie_middleware(get_response: GetResponse) -> GetResponse:
    """Around everything that reads or sets cookies. Over HTTPS they have the prefix and are Secure,
    and one without counts for nothing; over plain HTTP they are as their owners call them."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not (settings.MIST_HTTPS or request.is_secure()):
            return get_response(request)
        given, own = request.COOKIES, own_cookies()
        request.COOKIES = {name: value for name, value in given.items() if name not in own} | {
            name: given[there] for name in own if (there := f"{SECURE_PREFIX}{name}") in given
        }
        response = get_response(request)
        for name in own:
            if (cookie := response.cookies.pop(name, None)) is not None:
                there = f"{SECURE_PREFIX}{name}"
                cookie.set(there, cookie.value, cookie.coded_value)
                cookie["secure"] = True
                response.cookies[there] = cookie
        return response

    return answer
