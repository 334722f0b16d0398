"""Cookies of libraries, under names of Mist's own."""

from __future__ import annotations

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class MessageCookie(CookieStorage):
    """What a page says once, signed, where an app beside Mist cannot plant it."""

    cookie_name = f"{settings.COOKIE_PREFIX}mist_messages"


class MessageStorage(FallbackStorage):
    """Django's own, in that cookie."""

    storage_classes = (MessageCookie, SessionStorage)
