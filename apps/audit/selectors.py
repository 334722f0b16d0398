"""Reading the audit trail, a page at a time, as quick at a million events as at ten.

Nothing is counted and nothing skipped. One filter is answered from its own index, which has the
order of the page. What is asked beside it, and words in names, is looked for among the next
`WINDOW` events that the first filter leaves; a page that finds too few there ends early and says
where to look on. So no page ever reads more than that, however rare what it looks for.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Min, Model, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.deployments.models import Deployment
from apps.domains.models import Domain
from apps.projects.models import App, EnvironmentVariable, HostPort, Project, Volume

PAGE = 50
CHUNK = 1000
"""Events that an export holds at once."""
WINDOW = 50_000


@dataclass(frozen=True)
class Cursor:
    """A place in the trail: what is older than this comes next."""

    at: dt.datetime
    id: int

    def __str__(self) -> str:
        return f"{self.at.astimezone(dt.UTC):%Y%m%d%H%M%S%f}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """None for what is no cursor."""
        found = re.fullmatch(r"([0-9]{20})\.([0-9]{1,18})", text, re.ASCII)
        if found is None:
            return None
        try:
            at = dt.datetime.strptime(found[1], "%Y%m%d%H%M%S%f").replace(tzinfo=dt.UTC)
        except ValueError:
            return None
        return cls(at, int(found[2]))

    @property
    def older(self) -> Q:
        # The first part bounds the range of the index, the second splits equal times.
        return Q(at__lte=self.at) & (Q(at__lt=self.at) | Q(id__lt=self.id))


@dataclass(frozen=True)
class Filters:
    """What is asked for; None and empty ask for everything."""

    project_id: int | None = None
    actor_id: int | None = None
    actor_kind: str = ""
    action: str = ""
    thing_type: str = ""
    thing_id: int | None = None
    words: tuple[str, ...] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def conditions(self) -> list[dict[str, Any]]:
        """Each answered by an index of its own, what is likely to leave the fewest first."""
        wanted: list[dict[str, Any]] = [
            {"thing_type": self.thing_type, "thing_id": self.thing_id},
            {"actor_id": self.actor_id},
            {"actor_kind": self.actor_kind},
            {"action": self.action},
            {"project_id": self.project_id},
        ]
        return [one for one in wanted if all(value not in (None, "") for value in one.values())]

    def not_newer(self, before: Cursor | None) -> Q:
        """What is older than `before` and `until`. The database gets one upper bound, the lower of
        the two: of several it takes any for its index and reads up to the others."""
        if before is not None and (self.until is None or before.at < self.until):
            return before.older
        return Q() if self.until is None else Q(at__lt=self.until)


@dataclass(frozen=True)
class Page:
    events: list[AuditEvent]
    older: Cursor | None
    """Where the next page begins; None when there is nothing older."""
    cut_short: bool = False
    """Whether it looked through `WINDOW` events and found less than a page in them."""


def events_page(filters: Filters, before: Cursor | None = None, size: int = PAGE) -> Page:
    """The newest events that the filters leave, or those older than `before`. At most three
    queries, one where there is one filter."""
    conditions = filters.conditions()
    first = conditions[0] if conditions else {}
    every = AuditEvent.objects.filter(filters.not_newer(before), **first)
    rows = every if filters.since is None else every.filter(at__gte=filters.since)
    rest: list[Any] = [part for one in conditions[1:] for part in _beside_the_index(one)]
    rest += [_in_a_name(word) for word in filters.words]
    low = None
    if rest:
        window = rows.values("at")[:WINDOW]
        low = window.aggregate(low=Min("at"))["low"]
        if low is None:
            return Page([], None)
    # The window begins within the span: again one bound, the higher.
    found = list((every.filter(*rest, at__gte=low) if low else rows)[: size + 1])
    if len(found) > size:
        return Page(found[:size], Cursor(found[size - 1].at, found[size - 1].pk))
    if low is not None and rows.filter(at__lt=low).exists():
        return Page(found, Cursor(low, 0), cut_short=True)
    return Page(found, None)


def events_from(filters: Filters, before: Cursor) -> Iterator[AuditEvent]:
    """All older than `before`, a chunk in memory at a time and no transaction held open."""
    place: Cursor | None = before
    while place is not None:
        page = events_page(filters, place, CHUNK)
        yield from page.events
        place = page.older


def _beside_the_index(condition: dict[str, Any]) -> list[Exact]:
    """The condition in a form that no index answers: the database must not choose one by which it
    would leave the window."""
    return [
        Exact(Coalesce(F(name), Value("" if isinstance(value, str) else 0)), value)
        for name, value in condition.items()
    ]


def _in_a_name(word: str) -> Q:
    return (
        Q(thing_name__icontains=word)
        | Q(actor_name__icontains=word)
        | Q(project_name__icontains=word)
    )


# --------------------------------------------------------------------------- what is still there


@dataclass(frozen=True)
class _Kind:
    """How to find the page of a thing that still exists."""

    model: type[Model]
    url: str
    app: str | None = "app__"
    """The way from the thing to its app: empty for an app, None for what has none."""
    numbered: bool = False

    def rows(self, kind: str, ids: set[int]) -> QuerySet[Any, Any]:
        """(kind, id, project, app, number), the last two empty where the address has none."""
        way = self.app
        alive = Q() if way is None else Q(**{f"{way}deleted_at": None})
        found: QuerySet[Any, Any] = self.model._default_manager.filter(alive, pk__in=ids).order_by()
        rows: QuerySet[Any, Any] = found.annotate(
            thing_kind=Value(kind),
            in_project=F("slug" if way is None else f"{way}project__slug"),
            in_app=Value("") if way is None else F(f"{way}slug"),
            with_number=F("number") if self.numbered else Value(0),
        ).values_list("thing_kind", "pk", "in_project", "in_app", "with_number")
        return rows


_KINDS = {
    "project": _Kind(Project, "project", app=None),
    "app": _Kind(App, "app", app=""),
    "deployment": _Kind(Deployment, "deployment", numbered=True),
    "environmentvariable": _Kind(EnvironmentVariable, "app_environment"),
    "volume": _Kind(Volume, "app_settings"),
    "hostport": _Kind(HostPort, "app_settings"),
    "domain": _Kind(Domain, "app_domains"),
}


def pages_of_things(events: Iterable[AuditEvent]) -> dict[tuple[str, int], str]:
    """(type, id) → address, of those things of the events that still exist. At most one query."""
    ids: dict[str, set[int]] = {}
    for event in events:
        if event.thing_type in _KINDS and event.thing_id is not None:
            ids.setdefault(event.thing_type, set()).add(event.thing_id)
    if not ids:
        return {}
    first, *more = [_KINDS[kind].rows(kind, wanted) for kind, wanted in ids.items()]
    return {
        (kind, pk): reverse(_KINDS[kind].url, args=[name for name in names if name])
        for kind, pk, *names in first.union(*more, all=True)
    }
