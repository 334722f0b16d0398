r"""Reading a pasted .env and writing one: values arrive byte for byte.

The rules are those people know from docker, dotenv and shells: `NAME=value` a line, `export`
before it is fine, `#` begins a comment at a line's start or after white space behind a bare
value. Single quotes keep everything as it is. Double quotes know \n, \r, \t, \" and \\ and may run
over several lines, as single quotes may. Nothing is ever expanded: `$` stays `$`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]*")
_ESCAPED = {char: f"\\{name}" for name, char in _ESCAPES.items()}


@dataclass
class Parsed:
    values: dict[str, str] = field(default_factory=dict)
    errors: list[tuple[int, str]] = field(default_factory=list)
    """(1-based line, what is wrong there)"""


def parse(text: str) -> Parsed:
    """Read the whole text; what cannot be read is named by line and nothing of it is guessed."""
    found = Parsed()
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        number, line = at + 1, lines[at].lstrip()
        at += 1
        if not line or line.startswith("#"):
            continue
        name, equals, rest = line.partition("=")
        name = re.sub(r"^export\s+", "", name).strip()
        if not NAME.fullmatch(name):
            found.errors.append((number, _name_problem(name, bool(equals))))
            continue
        if not equals:
            found.errors.append((number, f"{name} has no value: write {name}=value."))
            continue
        rest = rest.lstrip(" \t")
        if rest[:1] in ("'", '"'):
            value, at = _quoted(lines, at - 1, rest)
            if value is None:
                found.errors.append((number, f"The quote that {name} opens is never closed."))
                continue
        else:
            value = "" if rest.startswith("#") else re.split(r"\s#", rest, maxsplit=1)[0].rstrip()
        if "\0" in value:
            found.errors.append((number, f"{name} holds a NUL byte, which no variable can."))
            continue
        found.values[name] = value
    return found


def _name_problem(name: str, has_value: bool) -> str:
    if not has_value:
        return "This is no NAME=value line."
    if " " in name:
        return "A name cannot contain a space."
    return "A name has letters, digits and _ only and does not begin with a digit."


def _quoted(lines: list[str], at: int, rest: str) -> tuple[str | None, int]:
    """The value whose quote opens `rest`, and the line to go on at."""
    quote, body, start = rest[0], rest[1:], at
    out: list[str] = []
    while True:
        i = 0
        while i < len(body):
            char = body[i]
            if char == quote:
                return "".join(out), at + 1
            if char == "\\" and quote == '"' and body[i + 1 : i + 2] in _ESCAPES:
                out.append(_ESCAPES[body[i + 1]])
                i += 2
                continue
            out.append(char)
            i += 1
        at += 1
        if at >= len(lines):
            return None, start + 1
        out.append("\n")
        body = lines[at]


def dump(values: Mapping[str, str]) -> str:
    """A .env that `parse` reads as these values, and so do docker, dotenv and shells where they
    agree: bare where nothing is special, in single quotes where nothing ends them, else in double
    ones with escapes."""
    return "".join(f"{name}={_written(value)}\n" for name, value in values.items())


def _written(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if not set(value) & {"'", "\n", "\r"}:
        return f"'{value}'"
    return '"' + "".join(_ESCAPED.get(char, char) for char in value) + '"'
