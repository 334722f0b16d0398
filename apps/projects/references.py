"""`${{ project.NAME }}` in a value: what the project's apps share, by name.

A `$` alone, `$NAME`, `${NAME}` and braces of other tools stay what they are. What is put in is
literal: nothing in it is a reference again, so there is neither a chain nor a circle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

REFERENCE = re.compile(r"\$\{\{\s*project\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_MEANT = re.compile(r"\$\{\{\s*project\b[^}]{0,300}(?:\}\})?")
"""What somebody meant for one."""


def references(value: str) -> list[str]:
    """The names that a value refers to, each once, as they come."""
    return list(dict.fromkeys(REFERENCE.findall(value)))


def fill_in(value: str, shared: Mapping[str, str]) -> str:
    """The value with everything that it refers to. Raises `KeyError` for a name that is not
    shared."""
    return REFERENCE.sub(lambda found: shared[found[1]], value)


def problems(value: str, shared: Callable[[], Collection[str]]) -> list[str]:
    """What is wrong with the references in a value, in words. Asked for the names that are shared
    only when it has any."""
    found = [
        f"{broken[:60]} is no reference. Write it as ${{{{ project.NAME }}}}."
        for broken in _MEANT.findall(value)
        if not REFERENCE.fullmatch(broken)
    ]
    if names := references(value):
        known = shared()
        found += [
            f"The project shares no variable {name}. Add it on the project's page Variables first."
            for name in names
            if name not in known
        ]
    return found
