"""What every page inside the shell needs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.system.selectors import Sidebar, sidebar_of


def shell(request: HttpRequest) -> dict[str, Any]:
    """`sidebar`, read from the database only when a template uses it, and the chosen theme."""
    theme = request.COOKIES.get("mist_theme", "")

    def sidebar() -> Sidebar | None:
        user = getattr(request, "user", None)
        return sidebar_of(user) if user is not None and user.is_authenticated else None

    return {"sidebar": SimpleLazyObject(sidebar), "theme": theme}
