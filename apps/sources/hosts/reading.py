"""Reading a message that somebody else wrote: every value is checked for what it has to be."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from apps.engine.sources import is_sha
from apps.sources.planning import Push, RefKind, host_of

FORM = "application/x-www-form-urlencoded"
MOST_PATHS = 20_000
"""More than that are not compared with patterns: then the push counts for every app."""
_NO_COMMIT = re.compile(r"0{40}|0{64}")
_ADDRESS_MAX, _TEXT_MAX = 500, 5_000
_REPOSITORY_ID_MAX = 100


class Malformed(Exception):
    """The message is not what the host's documentation promises, in a sentence."""


class EventKind(enum.Enum):
    PUSH = "push"
    PING = "ping"
    """Only to see whether anybody answers."""
    OTHER = "other"


@dataclass(frozen=True)
class Event:
    kind: EventKind
    name: str
    """As the host calls it."""
    pushes: tuple[Push, ...] = ()


def json_in(content_type: str, body: bytes) -> str:
    """The text of the JSON in a body: the body itself, or of a form the field `payload`. Raises
    `Malformed`."""
    try:
        text = body.decode()
        if content_type.partition(";")[0].strip().lower() == FORM:
            text = parse_qs(text, max_num_fields=10, strict_parsing=True)["payload"][0]
    except KeyError:
        raise Malformed("The form has no field named payload.") from None
    except ValueError:
        raise Malformed("The body is neither JSON in UTF-8 nor a form.") from None
    return text


def read_json(text: str) -> dict[str, Any]:
    """The object that it is. Raises `Malformed`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("The body is no JSON.") from None
    if not isinstance(found, dict):
        raise Malformed("The body is no JSON object.")
    return found


# ------------------------------------------------------------------------------------- one value


def within(thing: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object of that name. Raises `Malformed`."""
    found = thing.get(name)
    if not isinstance(found, dict):
        raise Malformed(f"The message has no object named {name}.")
    return found


def maybe(thing: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The object at the end of these names; an empty one where there is none."""
    for name in names:
        found = thing.get(name)
        thing = found if isinstance(found, dict) else {}
    return dict(thing)


def listed(thing: Mapping[str, Any], name: str) -> list[Any]:
    found = thing.get(name)
    return found if isinstance(found, list) else []


def text(thing: Mapping[str, Any], name: str) -> str:
    """Text that a database takes and a page shows; empty for anything else."""
    found = thing.get(name)
    return plain(found)[:_TEXT_MAX].strip() if isinstance(found, str) else ""


def plain(value: str) -> str:
    """Without halves of characters, which JSON can hold and UTF-8 cannot, and without the
    character that PostgreSQL refuses."""
    return value.encode("utf-8", "replace").decode().replace("\0", "")


def web_address(thing: Mapping[str, Any], name: str) -> str:
    """An address that a page may link; empty for anything else."""
    found = text(thing, name)
    try:
        good = urlsplit(found).scheme in ("http", "https") and len(found) <= _ADDRESS_MAX
    except ValueError:
        good = False
    return found if good else ""


def addresses(thing: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """Those of the repository that the host tells. Raises `Malformed` when it tells none."""
    found = tuple(one for name in names if (one := text(thing, name)))
    if not found:
        raise Malformed("The message does not say of which repository it is.")
    return found


def repository_id(kind: str, where: tuple[str, ...], number: Any) -> str:
    """The host's own number, and whose it is; empty where there is none."""
    if not isinstance(number, int | str) or isinstance(number, bool) or not number:
        return ""
    found = f"{kind}:{host_of(where[0])}:{plain(str(number))}"
    return found if len(found) <= _REPOSITORY_ID_MAX else ""


def ref(thing: Mapping[str, Any], name: str = "ref") -> tuple[RefKind, str] | None:
    """Branch or tag, and its name; None for what is neither, such as notes. Raises `Malformed`."""
    found = text(thing, name)
    for start, kind in (("refs/heads/", RefKind.BRANCH), ("refs/tags/", RefKind.TAG)):
        if found.startswith(start) and len(found) > len(start):
            return kind, found.removeprefix(start)
    if not found:
        raise Malformed("The message does not say which branch or tag was pushed.")
    return None


def commit(thing: Mapping[str, Any], name: str) -> str:
    """The 40 digits; empty for none (a branch that is gone). Raises `Malformed`."""
    found = thing.get(name)
    if found is None or (isinstance(found, str) and _NO_COMMIT.fullmatch(found)):
        return ""
    if not isinstance(found, str) or not is_sha(found):
        raise Malformed(f"{name} is no commit of 40 digits.")
    return found.lower()


def is_new(thing: Mapping[str, Any]) -> bool:
    """Whether there was nothing before: then the listed commits are not all of it."""
    return commit(thing, "before") == ""


def paths_of(commits: list[Any]) -> frozenset[str] | None:
    """What the listed commits added, changed and removed; None when they do not tell all of it."""
    found: set[str] = set()
    for one in commits:
        if not isinstance(one, dict):
            return None
        for name in ("added", "modified", "removed"):
            part = one.get(name)
            if not isinstance(part, list):
                return None
            found.update(plain(path) for path in part if isinstance(path, str))
            if len(found) > MOST_PATHS:
                return None
    # A push that changed no file at all is one whose commits are older than what was there.
    return frozenset(found) or None


def author(person: Mapping[str, Any]) -> str:
    return text(person, "name") or text(person, "username")
