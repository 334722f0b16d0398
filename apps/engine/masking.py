"""Hiding known values in lines of output.

All forms of a value (see `secret_forms`) are looked for at once: one automaton finds where any of
them could begin, by their first four characters, in one pass over each line, and only there is
compared. A value may go on in the next line of the same stream: a line whose end is the beginning
of a value waits until the next one says whether it was.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ahocorasick_rs import AhoCorasick

from apps.engine.secret_forms import Form, forms_of

MASK = "••••••"
HEAD = 4
"""Characters by which the beginning of a value is known. Of a value that is broken before that,
so many less one stay."""
WAITING_MOST = 2_000
"""Lines that may wait for another."""
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


@dataclass(eq=False, slots=True)
class Line:
    """A line on its way."""

    text: str
    tag: Any
    """Whatever its owner wants back with it."""
    dense: str
    """Without white space, from where the stream's own text begins."""
    begin: int
    places: list[int] | None = None
    """Where in `text` each character of `dense` is; None until somebody asks, and as long as it is
    simply `begin` further on."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    waits: bool = False

    def place(self, index: int) -> int:
        if len(self.dense) == len(self.text) - self.begin:
            return self.begin + index
        if self.places is None:
            numbered = enumerate(self.text[self.begin :], self.begin)
            self.places = [at for at, char in numbered if not char.isspace()]
        return self.places[index]

    def masked(self) -> str:
        if not self.spans:
            return self.text
        out, done = list[str](), 0
        for begin, end in _merged(self.spans):
            out += (self.text[done:begin], MASK)
            done = end
        return "".join((*out, self.text[done:]))


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, without overlaps."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


class Masker:
    """Knows values and hides them. Its own text says nothing of them."""

    def __init__(self, values: Iterable[str]) -> None:
        by_head: defaultdict[str, list[Form]] = defaultdict(list)
        for form in forms_of(values):
            by_head[form.text[:HEAD]].append(form)
        self._forms = [by_head[head] for head in by_head]
        self._heads = AhoCorasick(list(by_head)) if by_head else None

    def __repr__(self) -> str:
        return "<Masker>"

    def __bool__(self) -> bool:
        """Whether it knows anything to hide."""
        return self._heads is not None

    def heads(self, text: str) -> list[tuple[int, int, int]]:
        """Where in a text without white space any form may begin: cheap, and most often nowhere."""
        if self._heads is None:
            return []
        return self._heads.find_matches_as_indexes(text, overlapping=True)

    def beginnings(
        self, text: str, heads: list[tuple[int, int, int]]
    ) -> Iterator[tuple[int, Form]]:
        """At which of these a form is, or begins and the text ends."""
        for number, at, _ in heads:
            for form in self._forms[number]:
                left = len(text) - at
                if text.startswith(form.text, at) or (
                    left < len(form.text) and form.text.startswith(text[at:])
                ):
                    yield at, form

    def text(self, text: str) -> str:
        """A whole text of one or more lines."""
        if not self:
            return text
        stream = Masking(self)
        lines = [shown for line in text.split("\n") for _, shown in stream.feed(line)]
        return "\n".join([*lines, *(shown for _, shown in stream.settle())])


@dataclass(slots=True)
class _Track:
    """One stream among the lines: where its last lines could go on."""

    pieces: list[tuple[Line, int]] = field(default_factory=list)
    """Lines that may go on in the next one, each with the character of `dense` to begin at."""
    begun: list[tuple[int, Form]] = field(default_factory=list)
    """Which forms have begun there, counted from the first piece."""


class Masking:
    """Lines in, lines out in the same order, values of the masker hidden. Not safe from several
    threads at once."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._tracks: dict[str, _Track] = {}
        self._waiting: deque[Line] = deque()

    @property
    def waits(self) -> bool:
        """Whether lines are held back that `settle` would let go."""
        return bool(self._waiting)

    def feed(
        self, text: str, *, tag: Any = None, track: str = "", begin: int = 0
    ) -> list[tuple[Any, str]]:
        """One more line of the stream `track`, whose own text begins at `begin`. Returns the lines
        that nothing can change any more, with their tags."""
        if not self._masker:
            return [(tag, text)]
        if not text.isascii():
            text = text.encode(errors="replace").decode()
        line = Line(text, tag, "".join(text[begin:].split()), begin)
        known = self._tracks.get(track)
        if known is None:
            known = self._tracks[track] = _Track()
        self._look(known, line)
        if not line.waits and not self._waiting:
            return [(tag, line.masked())]
        self._waiting.append(line)
        if len(self._waiting) > WAITING_MOST:
            return self.settle()
        return self._ready()

    def settle(self) -> list[tuple[Any, str]]:
        """Let go of what waits: no more comes, or not for a while. What has begun and is half of a
        value or more is hidden; what comes later is still known as the rest of it."""
        for track in self._tracks.values():
            size = sum(len(line.dense) - at for line, at in track.pieces)
            for start, form in track.begun:
                if 2 * (size - start) >= len(form.text):
                    _hide(track.pieces, start, size, form)
            for line, _ in track.pieces:
                line.waits = False
        return self._ready()

    def _ready(self) -> list[tuple[Any, str]]:
        out = []
        while self._waiting and not self._waiting[0].waits:
            line = self._waiting.popleft()
            out.append((line.tag, line.masked()))
        return out

    def _look(self, track: _Track, line: Line) -> None:
        """Hide what is complete with this line, and find what may go on in the next."""
        pieces = [*track.pieces, (line, 0)]
        text = "".join([piece.dense[at:] for piece, at in pieces])
        heads = self._masker.heads(text)
        if not heads and not track.begun and len(line.dense) >= HEAD:
            track.pieces = [(line, len(line.dense) - HEAD + 1)]
            return
        begun: list[tuple[int, Form]] = []
        for start, form in self._masker.beginnings(text, heads):
            end = start + len(form.text)
            if not _fits(pieces, start, min(end, len(text)), form):
                continue
            if end <= len(text):
                _hide(pieces, start, end, form)
            else:
                begun.append((start, form))
        for piece, _ in track.pieces:
            piece.waits = False
        # Less than a head cannot be told from anything: it is not waited for, only remembered.
        first = min((start for start, _ in begun), default=len(text))
        track.pieces = _from(pieces, min(first, max(0, len(text) - HEAD + 1)))
        dropped = len(text) - sum(len(piece.dense) - at for piece, at in track.pieces)
        track.begun = [(start - dropped, form) for start, form in begun]
        if begun:
            for piece, _ in track.pieces:
                piece.waits = True


def _from(pieces: list[tuple[Line, int]], start: int) -> list[tuple[Line, int]]:
    """The pieces without their first `start` characters."""
    left = []
    for line, at in pieces:
        size = len(line.dense) - at
        if start < size:
            left.append((line, at + max(0, start)))
        start -= size
    return left


def _places(
    pieces: list[tuple[Line, int]], start: int, end: int
) -> Iterator[tuple[Line, int, int, int]]:
    """(line, first and last place in its text, characters before it) of what lies between."""
    before = 0
    for line, at in pieces:
        size = len(line.dense) - at
        first, last = max(start, before), min(end, before + size)
        if first < last:
            yield line, at + first - before, at + last - before - 1, first - start
        before += size


def _fits(pieces: list[tuple[Line, int]], start: int, end: int, form: Form) -> bool:
    """Whether white space within each line is where the form has it. Between lines anything is
    right: there it was wrapped."""
    gaps = dict(form.gaps)
    for line, first, last, before in _places(pieces, start, end):
        if len(line.dense) == len(line.text) - line.begin:
            if any(not soft and before < at <= before + last - first for at, soft in form.gaps):
                return False
            continue
        for index in range(first + 1, last + 1):
            is_apart = line.place(index) - line.place(index - 1) > 1
            soft = gaps.get(before + index - first)
            if (soft is None and is_apart) or (soft is False and not is_apart):
                return False
    return True


def _hide(pieces: list[tuple[Line, int]], start: int, end: int, form: Form) -> None:
    """With the characters of base64 beside it that hold bits of it too, and padding."""
    for line, first, last, before in _places(pieces, start, end):
        begin, behind = line.place(first), line.place(last) + 1
        if form.before and not before and begin > line.begin and line.text[begin - 1] in _BASE64:
            begin -= 1
        if before + last - first + 1 == len(form.text):
            if form.after and line.text[behind : behind + 1] in _BASE64:
                behind += 1
            while form.pads and line.text[behind : behind + 1] == "=":
                behind += 1
        line.spans.append((begin, behind))
