"""The frames that Git speaks in: pkt-lines, what a push asks for, and its sideband.

Source: gitprotocol-common(5), gitprotocol-pack(5), "Reference Update Request" and "Report Status".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

FLUSH = b"0000"
LINE_MAX = 65_520
"""Bytes of a pkt-line, its own four digits among them."""
PIECE_MAX = LINE_MAX - 5
"""Of these, what one piece of a sideband carries."""
COMMANDS_MAX = 1_000
COMMANDS_BYTES = 1024 * 1024
REPORT, WORDS = 1, 2
"""Bands: the answer of the protocol itself, and what the pusher reads after `remote:`."""
ZERO = "0" * 40

_COMMAND = re.compile(rb"(?P<old>[0-9a-f]{40}) (?P<new>[0-9a-f]{40}) (?P<ref>[^\0\n]+)")
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40}")


class Malformed(ValueError):
    """What came is not what Git sends."""


@dataclass(frozen=True)
class RefUpdate:
    """One line of a push: this ref from that commit to another."""

    old: str
    new: str
    """All zeros for a deletion."""
    ref: str

    @property
    def deletes(self) -> bool:
        return self.new == ZERO


@dataclass(frozen=True)
class Push:
    """What stands before the pack."""

    updates: tuple[RefUpdate, ...] = ()
    """None for a request that only tries whether the server listens."""
    capabilities: frozenset[str] = frozenset()
    shallow: tuple[bytes, ...] = ()
    """Lines about commits whose parents the pusher does not have, as they came."""
    pack_at: int = 0
    """Where in the stream the pack begins."""

    @property
    def has_sideband(self) -> bool:
        return "side-band-64k" in self.capabilities

    @property
    def wants_report(self) -> bool:
        return bool({"report-status", "report-status-v2"} & self.capabilities)


@dataclass(frozen=True)
class Report:
    """What became of a push."""

    unpack: str = "ok"
    """`ok`, or why the pack was not taken."""
    refs: dict[str, str] = field(default_factory=dict)
    """Ref → why it was not changed; empty where it was."""

    def encode(self) -> bytes:
        lines = [pkt(f"unpack {self.unpack}\n".encode())]
        lines += [
            pkt(f"ng {ref} {_one_line(why)}\n".encode() if why else f"ok {ref}\n".encode())
            for ref, why in self.refs.items()
        ]
        return b"".join(lines) + FLUSH


def pkt(data: bytes) -> bytes:
    """One pkt-line."""
    assert len(data) <= LINE_MAX - 4
    return f"{len(data) + 4:04x}".encode() + data


def sideband(band: int, data: bytes) -> bytes:
    """The data as pieces of that band. Nothing is an empty piece, which keeps a line open."""
    pieces = [data[at : at + PIECE_MAX] for at in range(0, len(data), PIECE_MAX)] or [b""]
    return b"".join(pkt(bytes([band]) + piece) for piece in pieces)


def words(lines: Iterable[str]) -> bytes:
    """Lines that the pusher reads, each after `remote: `; nothing for no line."""
    text = "".join(f"{line}\n" for line in lines)
    return sideband(WORDS, text.encode(errors="replace")) if text else b""


def read_pkt(stream: IO[bytes]) -> bytes | None:
    """The next line; None for a flush. Raises `Malformed`, also where the stream ends."""
    head = stream.read(4)
    if not re.fullmatch(rb"[0-9a-fA-F]{4}", head):
        raise Malformed("A pkt-line begins with four hexadecimal digits.")
    length = int(head, 16)
    if length == 0:
        return None
    if not 4 <= length <= LINE_MAX:
        raise Malformed("A pkt-line has no such length.")
    data = stream.read(length - 4)
    if len(data) != length - 4:
        raise Malformed("The request ends within a pkt-line.")
    return data


def read_push(stream: IO[bytes]) -> Push:
    """Read up to the pack. Raises `Malformed`, and for what Mist does not speak."""
    start = stream.tell()
    updates: list[RefUpdate] = []
    shallow: list[bytes] = []
    capabilities: frozenset[str] = frozenset()
    while (line := read_pkt(stream)) is not None:
        command, _, rest = line.partition(b"\0")
        command = command.rstrip(b"\n")
        if rest and not updates:
            capabilities = frozenset(rest.decode(errors="replace").split())
        if _SHALLOW.fullmatch(command) and not updates:
            shallow.append(command)
        else:
            updates.append(_update(command))
        many = len(updates) + len(shallow) > COMMANDS_MAX
        if many or stream.tell() - start > COMMANDS_BYTES:
            raise Malformed(f"A push may change {COMMANDS_MAX} branches and tags at once.")
    return Push(tuple(updates), capabilities, tuple(shallow), stream.tell() - start)


def _update(line: bytes) -> RefUpdate:
    found = _COMMAND.fullmatch(line)
    if found is None:
        raise Malformed("The push asks for something that Mist does not know.")
    try:
        return RefUpdate(found["old"].decode(), found["new"].decode(), found["ref"].decode())
    except UnicodeDecodeError:
        raise Malformed("The name of a branch or tag is not UTF-8.") from None


def commands_of(push: Push, updates: Sequence[RefUpdate]) -> bytes:
    """What stands before the pack, with other updates; the answer comes as a plain report."""
    lines = [pkt(line) for line in push.shallow]
    for number, one in enumerate(updates):
        asked = b"\0report-status" if number == 0 else b""
        lines.append(pkt(f"{one.old} {one.new} {one.ref}".encode() + asked))
    return b"".join(lines) + FLUSH


def read_report(data: bytes) -> Report | None:
    """What `git receive-pack` answered; None where that is no whole report."""
    try:
        lines = [line.rstrip("\n") for line in _lines(data)]
    except (Malformed, UnicodeDecodeError):
        return None
    if not lines or not lines[0].startswith("unpack "):
        return None
    refs = dict[str, str]()
    for line in lines[1:]:
        kind, _, rest = line.partition(" ")
        ref, _, why = rest.partition(" ")
        refs[ref] = "" if kind == "ok" else why or "refused"
    return Report(lines[0].removeprefix("unpack "), refs)


def _lines(data: bytes) -> Iterator[str]:
    at = 0
    while data[at : at + 4] != FLUSH:
        head = data[at : at + 4]
        if not re.fullmatch(rb"[0-9a-f]{4}", head) or int(head, 16) < 5:
            raise Malformed("This is no report.")
        yield data[at + 4 : at + int(head, 16)].decode()
        at += int(head, 16)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
