"""What Mist accepts as a command and as expected statuses.

Pure checks in the manner of `sources`: what a person typed goes in, what Mist stores comes out, or
`InvalidSource` with a sentence that names the rule and shows an example.
"""

from __future__ import annotations

import re
import shlex

from apps.engine.errors import InvalidSource

MAX_COMMAND = 1_000
MAX_STATUSES = 100

_RANGE = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def split_command(text: str) -> tuple[str, ...]:
    """The words of a command as a shell would split them; nothing else of a shell happens. An
    empty text has none."""
    if len(text) > MAX_COMMAND:
        raise InvalidSource(f"A command has at most {MAX_COMMAND} characters.")
    if any(ord(char) < 32 for char in text):
        raise InvalidSource("A command is one line, for example python manage.py migrate.")
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise InvalidSource(
            "A quote or a backslash has no partner, for example write sh -c 'echo done'."
        ) from None
    if words and not words[0]:
        raise InvalidSource("The command has no name, for example python manage.py migrate.")
    return words


def check_command(text: str) -> str:
    """A command that can be split."""
    split_command(text)
    return text.strip()


def check_statuses(text: str) -> str:
    """HTTP statuses and ranges of them with commas between, without spaces."""
    parts = [part.strip().replace(" ", "") for part in text.split(",")]
    for part in parts:
        found = _RANGE.fullmatch(part)
        if found is None or (found[2] and int(found[2]) < int(found[1])):
            raise InvalidSource(
                "Expected statuses are numbers from 100 to 599 or ranges of them, "
                "for example 200, 200-399 or 200,204."
            )
    clean = ",".join(parts)
    if len(clean) > MAX_STATUSES:
        raise InvalidSource(f"Expected statuses have at most {MAX_STATUSES} characters.")
    return clean


def is_expected(statuses: str, status: int) -> bool:
    """Whether the status is one of those that `check_statuses` returned."""
    for part in statuses.split(","):
        first, _, last = part.partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False
