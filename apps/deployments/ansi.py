"""Terminal output as a page shows it: colours become classes, every other control goes."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;]*)m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # other control sequences
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b."
    r"|[\x00-\x08\x0b-\x1f\x7f]"
)
_NEEDS_WORK = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STYLES = {1: "bold", 2: "dim", 4: "underline"}


def segments(text: str) -> list[tuple[str, str]]:
    """Pieces of (classes, text). Of a line that was drawn over (`\\r`) the last drawing stays."""
    if not _NEEDS_WORK.search(text):
        return [("", text)]
    text = text.rstrip("\r").rpartition("\r")[2]
    pieces: list[tuple[str, str]] = []
    colour, styles, at = "", set[str](), 0
    for found in _ESCAPE.finditer(text):
        if found.start() > at:
            pieces.append((_classes(colour, styles), text[at : found.start()]))
        at = found.end()
        if found["sgr"] is not None:
            colour, styles = _style(found["sgr"], colour, styles)
    if at < len(text):
        pieces.append((_classes(colour, styles), text[at:]))
    return pieces


def _classes(colour: str, styles: set[str]) -> str:
    names = sorted(styles) + ([colour] if colour else [])
    return " ".join(f"a-{name}" for name in names)


def _style(codes: str, colour: str, styles: set[str]) -> tuple[str, set[str]]:
    """The colour and styles after one escape; what the style kit has no class for is left out."""
    numbers = [int(code) if code else 0 for code in codes[:60].split(";")]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            colour, styles = "", set()
        elif code in _STYLES:
            styles = styles | {_STYLES[code]}
        elif code == 22:
            styles = styles - {"bold", "dim"}
        elif code == 24:
            styles = styles - {"underline"}
        elif code == 39:
            colour = ""
        elif 30 <= code <= 37 or 90 <= code <= 97:
            colour = _COLOURS[code % 10]
        elif code in (38, 48):
            # 256 colours and RGB have no class: skip what belongs to them.
            numbers = numbers[2 if numbers[:1] == [5] else 4 :]
    return colour, styles
