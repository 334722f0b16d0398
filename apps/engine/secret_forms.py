"""Which values are secrets in a log, and every form in which the usual tools print one.

A form is its characters without white space, and where there was some: what is wrapped at any
column, or printed with other line ends, is the same form.
"""

from __future__ import annotations

import base64
import html
import ipaddress
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote, urlsplit

SHORTEST = 6
"""Characters that are no white space. Less would turn ordinary words of a log into dots."""
LINE_SHORTEST = 12
"""The same for one line of a value that has several."""
NUMBER_SHORTEST = 8
"""Digits: what is shorter is a port, a size or a time limit."""
_WORDS = """
disable disabled enable enabled default development production staging testing preview
sandbox localhost verbose warning warnings critical notice public private internal external
master develop release latest stable standard always unless-stopped on-failure
application/json text/html text/plain utf-8 unicode sqlite sqlite3 postgres postgresql mysql
mariadb mongodb memcached filesystem console stdout stderr gunicorn uvicorn
strict require required prefer verify-full verify-ca 127.0.0.1 host.docker.internal
"""
PUBLIC = frozenset(_WORDS.split())
_LOCALE = re.compile(r"[a-z]{2}_[A-Z]{2}(\.[Uu][Tt][Ff]-?8)?|C\.UTF-8")
_ZONE = re.compile(
    r"(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)"
    r"/[A-Za-z_/+-]{1,40}[0-9]{0,2}"
)
_PATH = re.compile(
    r"/(app|data|etc|home|mnt|opt|root|run|srv|tmp|usr|var|workspace)(/[a-z0-9._-]{1,24}){0,8}/?"
)
_URL_SAFE = str.maketrans("+/", "-_")
_ARMOUR = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")


def is_secret(value: str, *, shortest: int = SHORTEST) -> bool:
    """Whether a value is hidden in logs: not one so short or so common that a log could not be
    read without it."""
    text = value.strip()
    size = len("".join(text.split()))
    if size < shortest or text.casefold() in PUBLIC or len(set(text)) == 1:
        return False
    if text.isdecimal() or text.lstrip("+-").replace(".", "", 1).isdecimal():
        return size >= NUMBER_SHORTEST
    patterns = (_LOCALE, _ZONE, _PATH, _ARMOUR)
    return not (any(p.fullmatch(text) for p in patterns) or _is_address(text))


def _is_address(text: str) -> bool:
    """An IP address, or the plain address of a host: no user, path or query could be a secret."""
    try:
        ipaddress.ip_interface(text)
        return True
    except ValueError:
        pass
    try:
        parts = urlsplit(text)
        plain = (parts.scheme, parts.hostname or "", parts.port or 0)
    except ValueError:
        return False
    rest = (parts.username, parts.password, parts.query, parts.fragment, parts.path.strip("/"))
    return plain[0] in ("http", "https", "ws", "wss") and bool(plain[1]) and not any(rest)


@dataclass(frozen=True)
class Form:
    """One way to print a value."""

    text: str = field(repr=False)
    """Without white space."""
    gaps: tuple[tuple[int, bool], ...] = field(default=(), repr=False)
    """(character that white space stands before, whether it holds a line end), ascending."""
    before: int = 0
    """Characters in front of it that hold bits of the value too, of base64."""
    after: int = 0
    """The same behind it."""
    pads: bool = False
    """Whether signs that fill up may follow."""


def forms_of(values: Iterable[str]) -> set[Form]:
    """All forms of those values that are secrets, of their lines and of the passwords in them."""
    found: set[Form] = set()
    for value in values:
        for part in _parts(value):
            found.update(_forms(part))
    return found


def _parts(value: str) -> Iterator[str]:
    if not is_secret(value):
        return
    yield value
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if is_secret(line, shortest=LINE_SHORTEST))
    try:
        password = urlsplit(value.strip()).password or ""
    except ValueError:
        return
    yield from (p for p in {password, unquote(password)} if is_secret(p))


def _forms(value: str) -> Iterator[Form]:
    for text in _written(value.strip()):
        form = _plain(text)
        if len(form.text) >= SHORTEST:
            yield form
    raw = value.encode(errors="replace")
    # `echo $VALUE | base64` and a file of it differ in the last line end, which is no part of it.
    for data in {raw, raw.strip()}:
        yield from _base64(data)


def _plain(text: str) -> Form:
    """The form of a text: what of it is not white space, and where that was."""
    gaps, at = list[tuple[int, bool]](), 0
    for piece in re.findall(r"\s+|\S+", text.strip()):
        if piece.isspace():
            gaps.append((at, not set(piece).isdisjoint("\r\n")))
        else:
            at += len(piece)
    # As `str.split` has it, which is what lines are taken apart with.
    return Form("".join(text.split()), tuple(gaps))


def _written(value: str) -> set[str]:
    """As text: plain, in JSON, in Python, in a shell, in HTML and in an address."""
    texts = {value}
    for ascii_only in (True, False):
        inside = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        # PHP escapes the slash; Go and Rails what HTML could take for its own.
        escaped = inside
        for char in "<>&":
            escaped = escaped.replace(char, f"\\u{ord(char):04x}")
        texts |= {inside, inside.replace("/", "\\/"), escaped, json.dumps(inside)[1:-1]}
    texts |= {repr(value)[1:-1], ascii(value)[1:-1], shlex.quote(value), html.escape(value)}
    texts.add(html.escape(value).replace("&#x27;", "&#39;"))
    for safe in ("", "/", "!'()*", "/!'()*~;,?:@&=+$#", "$&+=:@", "*"):
        texts |= {quote(value, safe=safe), quote_plus(value, safe=safe)}
    texts |= {re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), text) for text in texts}
    return texts


def _base64(data: bytes) -> Iterator[Form]:
    """What every base64 that has `data` in it shows of it, wherever it begins (RFC 4648: three
    bytes make four characters), in both alphabets. Characters that hold bits of what is beside it
    too are not of the form."""
    for shift in range(3):
        bits = 8 * (shift + len(data))
        skip = (0, 2, 3)[shift]
        text = base64.b64encode(b"\0" * shift + data).decode()[skip : bits // 6]
        if len(text) >= SHORTEST:
            for shown in {text, text.translate(_URL_SAFE)}:
                yield Form(shown, before=min(shift, 1), after=int(bits % 6 > 0), pads=True)
