"""What a request of the API brings: a small JSON object, each field checked, none unknown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from django.http import HttpRequest

from apps.api.problems import Problem
from apps.engine.errors import InvalidSource
from apps.engine.image_names import check_image_name, check_image_version
from apps.engine.sources import check_ref, is_sha

BODY_MAX = 64 * 1024
"""Bytes; the API takes nothing that is longer."""
Check = Callable[[Any], Any]
"""The value as Mist takes it. Raises `ValueError` with a sentence."""


def read_body(request: HttpRequest) -> bytes:
    """The whole body. Raises `Problem` for one that is too large or that says it is no JSON."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_MAX:
        raise _too_large()
    body = request.read(BODY_MAX + 1)
    if len(body) > BODY_MAX:
        raise _too_large()
    # An empty body has no type that matters. A form is refused and not taken for JSON: that is what
    # a page of another site can send without asking first (Fetch standard, CORS-safelisted types).
    if body and request.content_type != "application/json":
        raise Problem(
            "not-json", "Send JSON with the header: Content-Type: application/json",
            headers={"Accept": "application/json"},
        )  # fmt: skip
    return body


def _too_large() -> Problem:
    return Problem("too-large", f"A body has at most {BODY_MAX // 1024} KB here.")


def fields(body: bytes, known: Mapping[str, Check]) -> dict[str, Any]:
    """The fields that were given, checked; nothing for an empty body. Raises `Problem`."""
    given = _object(body) if body.strip() else {}
    found: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, value in given.items():
        check = known.get(name)
        if check is None:
            names = ", ".join(known) or "none"
            errors[name] = [f"There is no such field. The fields are: {names}."]
            continue
        try:
            found[name] = check(value)
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise invalid(errors)
    return found


def invalid(errors: Mapping[str, list[str]]) -> Problem:
    return Problem("invalid-input", "Nothing was done. See errors, by field.", errors=errors)


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        # Of what the parser says only where: its words may hold parts of the body.
        place = f" near character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise Problem("malformed", f"The body is no JSON (RFC 8259){place}.") from None
    if not isinstance(given, dict):
        raise Problem("malformed", 'The body has to be a JSON object, for example {"ref": "main"}.')
    return given


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259, 4: of a name that comes twice nobody knows which value is meant."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


# ----------------------------------------------------------------------------------------- checks


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("This is true or false.")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("This is a text.")
    return value


def ref(value: Any) -> str:
    try:
        return check_ref(text(value))
    except InvalidSource as error:
        raise ValueError(error.sentence) from error


def image_version(value: Any) -> str:
    try:
        return check_image_version(text(value))
    except InvalidSource as error:
        raise ValueError(error.sentence) from error


def image_name(value: Any) -> str:
    try:
        return check_image_name(text(value))
    except InvalidSource as error:
        raise ValueError(error.sentence) from error


def commit(value: Any) -> str:
    if not is_sha(text(value)):
        raise ValueError("A commit is its 40 digits.")
    return text(value).lower()
