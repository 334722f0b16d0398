"""Writing the audit trail.

Services call `record` inside the transaction of the change itself, so there is neither a change
without its event nor an event of what never happened. Who acts they need not know: a request, a
command or a webhook says so once, around everything that it does.

No secret gets in: `facts` leaves out fields that hold one, and `record` masks what stands for a
password in any address (OWASP Logging Cheat Sheet, "Data to exclude").
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import models

from apps.audit.models import ActorKind, AuditEvent
from apps.projects.fields import EncryptedTextField

MASK = "••••••"
TEXT_MAX = 1000
"""Characters of one fact."""
_SECRET_NAME = re.compile(r"password|secret|token|seed|credential|private", re.IGNORECASE)
_SECRET_KEY = re.compile(r"(?:^|[_ ])(?:password|secret|token|seed)\Z", re.IGNORECASE)
# The last @ before the path ends what is before the host, whatever else a password holds.
# Both look at each place of a text once, however long it is: texts come from strangers.
_USER_INFO = re.compile(
    r"(?<![a-z0-9+.-])(?P<scheme>[a-z0-9+.-]++)://(?P<info>[^/\s?#]+)@", re.IGNORECASE
)
_QUERY_SECRET = re.compile(
    r"(?P<name>[?&;][^=&;?\s]{0,100}(?:token|key|password|passwd|secret|signature|auth)"
    r"[^=&;?\s]{0,100}=)[^&;#\s]+",
    re.IGNORECASE,
)


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
    and `after` what is the same in both is left out; neither may hold a secret. Adds one INSERT.
    """
    who = actor()
    old, new = _plain(before or {}), _plain(after or {})
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
        thing_name=without_credentials(name or ("" if thing is None else str(thing)))[:300],
        project_id=None if inside is None else inside.pk,
        project_name="" if inside is None else str(inside)[:100],
        before={key: value for key, value in old.items() if key not in same},
        after={key: value for key, value in new.items() if key not in same},
    )


def facts(thing: models.Model, *fields: str) -> dict[str, Any]:
    """What these fields of the thing are now, for `before` and `after`.

    A field that is encrypted, or whose name says that it holds a secret, is left out.
    """
    found = {}
    for name in fields:
        field = thing._meta.get_field(name)
        if isinstance(field, EncryptedTextField) or _SECRET_NAME.search(name):
            continue
        found[name] = getattr(thing, name)
    return found


def without_credentials(text: str) -> str:
    """The text with what may be a secret in its addresses masked: user and password of a web
    address (a token stands as either), the password of any other, and tokens in a query."""
    return _QUERY_SECRET.sub(rf"\g<name>{MASK}", _USER_INFO.sub(_masked, text))


def _masked(found: re.Match[str]) -> str:
    scheme, info = found["scheme"], found["info"]
    user, colon, _ = info.partition(":")
    if scheme.lower() in ("http", "https"):
        return f"{scheme}://{MASK}@"
    return f"{scheme}://{user}:{MASK}@" if colon else found[0]


def _plain(value: Any) -> Any:
    """As JSON can hold it, without credentials, and not longer than needed."""
    if isinstance(value, Mapping):
        return {
            str(key): MASK if isinstance(one, str) and _SECRET_KEY.search(str(key)) else _plain(one)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value.isoformat() if isinstance(value, dt.date) else str(value)
    text = without_credentials(text)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"


def _project_of(thing: models.Model | None) -> models.Model | None:
    if thing is None or thing._meta.model_name == "project":
        return thing
    inside = getattr(thing, "app", thing)
    found: models.Model | None = getattr(inside, "project", None)
    return found
