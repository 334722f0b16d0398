"""Which pages are live, what they listen to and what streams into them.

A live page is one view with two answers: the whole page, and to an HTMX request the parts of it
that change, each an element with an `id`. The same parts come over the page's WebSocket and, where
no WebSocket comes through, by polling; so there is one piece of code for what a page shows and for
who may see it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.vary import vary_on_headers

Send = Callable[[str], Awaitable[None]]
"""Hands ready JSON text to one page. Never waits for the network."""
View = TypeVar("View", bound=Callable[..., Any])


class Feed(Protocol):
    """What streams into one open page beyond its parts: log lines, numbers each second."""

    async def open(self) -> None:
        """Begin; the page is known to be allowed."""
        ...

    async def heard(self, message: Mapping[str, Any]) -> None:
        """The page said something to this feed."""
        ...

    async def close(self) -> None:
        """The page is gone. Called once, also when `open` never was."""
        ...


FeedFactory = Callable[[Mapping[str, str], Send], Feed]
"""Makes the feed of one open page of what its script said when it connected, and of the way to
reach it."""


@dataclass(frozen=True)
class Live:
    """What one page listens to."""

    groups: Sequence[str]
    """Groups whose nudges mean that the page may show something else now."""
    feeds: Mapping[str, FeedFactory] = field(default_factory=dict)
    """Name, as the page's script knows it → what streams in under that name."""
    needs: Mapping[str, Any] = field(default_factory=dict)
    """Name of a feed → what it needs of the person beyond seeing the page
    (`apps.projects.access.Need`)."""


def live_page(find: Callable[..., Live]) -> Callable[[View], View]:
    """Make a view the view of a live page. `find` gets the keyword arguments of the address and
    may read the database; whether the person may see the page, the view itself says."""

    def mark(view: View) -> View:
        # Outer decorators copy the attribute: functools.wraps takes along what a function has.
        marked: Any = vary_on_headers("HX-Request")(view)
        marked.find_live = find
        return cast(View, marked)

    return mark


def render_page(
    request: HttpRequest,
    name: str,
    context: Mapping[str, Any],
    *,
    parts: str = "",
    status: int = 200,
) -> HttpResponse:
    """The template `name`, or to an HTMX request its parts: the template of the same name with `_`
    before it, unless `parts` names another."""
    if "HX-Request" in request.headers:
        return render(request, parts or f"_{name}", context)
    return render(request, name, context, status=status)


def find_live_of(view: Callable[..., Any]) -> Callable[..., Live] | None:
    """What `live_page` was given for the view, None for one that is not live."""
    return getattr(view, "find_live", None)
