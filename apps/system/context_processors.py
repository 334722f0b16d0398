"""What every page inside the shell needs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.live.pages import find_live_of
from apps.projects.access import access
from apps.system.selectors import Sidebar, sidebar_of


def shell(request: HttpRequest) -> dict[str, Any]:
    """`sidebar`, read from the database only when a template uses it, the chosen theme,
    the address that a live page listens under, and what the person may do here (`access`)."""
    theme = request.COOKIES.get("mist_theme", "")

    def sidebar() -> Sidebar | None:
        user = getattr(request, "user", None)
        return sidebar_of(user) if user is not None and user.is_authenticated else None

    match = request.resolver_match
    is_live = match is not None and find_live_of(match.func) is not None
    live_path = request.get_full_path() if is_live else ""
    return {
        "sidebar": SimpleLazyObject(sidebar),
        "theme": theme,
        "live_path": live_path,
        "access": access(request),
    }
