"""Writing the audit trail.

Services call `record` inside the transaction of the change itself, so there is neither a change
without its event nor an event of what never happened. Who acts they need not know: a request, a
command or a webhook says so once, around everything that it does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import models

from apps.audit.models import ActorKind, AuditEvent


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where."""

    kind: ActorKind
    id: int | None = None
    """Of the user."""
    name: str = ""
    via: str = ""
    address: str | None = None
    agent: str = ""
    request_id: str = ""


MIST = Actor(ActorKind.SYSTEM, name="Mist")
_acting: ContextVar[Callable[[], Actor]] = ContextVar("audit_actor", default=lambda: MIST)


def actor() -> Actor:
    """Who acts here and now: Mist itself, unless something said otherwise."""
    return _acting.get()()


@contextlib.contextmanager
def acting_as(who: Actor | Callable[[], Actor]) -> Iterator[None]:
    """Everything recorded inside is this actor's deed. A function is asked at each event, for a
    request whose user becomes known only on its way."""
    token = _acting.set(who if callable(who) else lambda: who)
    try:
        yield
    finally:
        _acting.reset(token)


def record(
    action: str,
    thing: models.Model | None = None,
    *,
    name: str = "",
    project: models.Model | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Add one event.

    `action` is thing and verb (`variable.reveal`). `thing` is named by `name`, else by its own
    text; its project is found by itself (`project`, `app.project`) unless it is given. Of `before`
    and `after` what is the same in both is left out; neither may hold a secret.
    """
    who = actor()
    old, new = dict(before or {}), dict(after or {})
    same = {key for key in old.keys() & new.keys() if old[key] == new[key]}
    inside = project if project is not None else _project_of(thing)
    return AuditEvent.objects.create(
        actor_kind=who.kind,
        actor_id=who.id,
        actor_name=who.name[:254],
        via=who.via[:200],
        address=who.address,
        agent=who.agent[:300],
        request_id=who.request_id,
        action=action,
        thing_type="" if thing is None else thing._meta.model_name or "",
        thing_id=None if thing is None else thing.pk,
        thing_name=(name or ("" if thing is None else str(thing)))[:300],
        project_id=None if inside is None else inside.pk,
        project_name="" if inside is None else str(inside)[:100],
        before={key: value for key, value in old.items() if key not in same},
        after={key: value for key, value in new.items() if key not in same},
    )


def _project_of(thing: models.Model | None) -> models.Model | None:
    if thing is None or thing._meta.model_name == "project":
        return thing
    inside = getattr(thing, "app", thing)
    found: models.Model | None = getattr(inside, "project", None)
    return found
