"""Which keys SSH servers have: those that come with Mist, and those that somebody confirmed.

sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FORGES = Path(__file__).with_name("forges.known_hosts")
_TYPE = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]{2,60}")
_KEY = re.compile(r"[A-Za-z0-9+/]{40,4000}={0,2}")


@dataclass(frozen=True)
class HostKey:
    """One key of one server."""

    host: str
    port: int
    kind: str
    """`ssh-ed25519` and the like."""
    key: str
    """Base64."""

    @property
    def line(self) -> str:
        """As a known_hosts file has it."""
        return f"{name_of(self.host, self.port)} {self.kind} {self.key}"

    @property
    def fingerprint(self) -> str:
        """As hosts publish it and `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def name_of(host: str, port: int) -> str:
    return host if port == 22 else f"[{host}]:{port}"


def parse_line(line: str) -> HostKey | None:
    """None for what is no line with one key of one named host."""
    words = line.split()
    if len(words) < 3 or not _TYPE.fullmatch(words[1]) or not _KEY.fullmatch(words[2]):
        return None
    try:
        base64.b64decode(words[2], validate=True)
    except binascii.Error:
        return None
    host, port = words[0], 22
    if host.startswith("["):
        host, _, number = host[1:].partition("]:")
        if not number.isdecimal():
            return None
        port = int(number)
    return HostKey(host.lower(), port, words[1], words[2])


@functools.cache
def forge_keys() -> tuple[HostKey, ...]:
    """Those of the large Git hosts."""
    found = (parse_line(line) for line in _FORGES.read_text().splitlines() if line[:1] != "#")
    return tuple(key for key in found if key is not None)


def is_forge(host: str, port: int) -> bool:
    return any((key.host, key.port) == (host, port) for key in forge_keys())


def known_hosts_text(own: Sequence[str]) -> str:
    """A known_hosts file. A host that `own` names has no other keys than those there: whoever
    replaced a key did so for a reason."""
    named = {line.split()[0] for line in own if line.strip()}
    shipped = [key.line for key in forge_keys() if name_of(key.host, key.port) not in named]
    return "".join(f"{line}\n" for line in (*own, *shipped))
