"""The certificates that Traefik serves without asking anybody for them, and its TLS options: files
of Mist's own beside those of the apps.

A certificate's files are named after what is in them, so none is ever written over: what names them
is one file that is replaced at once, and Traefik has the old certificates or the new ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from apps.engine.certificates import KeyPair
from apps.engine.errors import MAKE_ROOM, OutOfDisk

NAME = "mist-tls.yml"
MODERN = "modern@file"
"""Traefik's name for the options that refuse TLS 1.2."""
SETTLE_SECONDS = 1.0
"""After so long what was written is what is served, and nobody reads the files of before: Traefik
takes a change up after 100 ms."""


class TlsFiles:
    """In `home`, the folder that Traefik reads: `dynamic/mist-tls.yml`, `certs/<digest>.crt` and
    `.key`, which only Mist's user (and a Traefik that runs as root) can read."""

    def __init__(self, home: Path) -> None:
        self._target = home / "dynamic" / NAME
        self._fresh = home / "new" / NAME
        self._room = home / "certs"

    def ensure(self) -> None:
        """Routes name the options, so that these have to be there."""
        if not self._target.is_file():
            self.write(())

    def write(self, pairs: Collection[KeyPair]) -> bool:
        """Have exactly these served when this returns; whether that is new. Raises `OutOfDisk`."""
        named = {_digest(pair): pair for pair in pairs}
        text = json.dumps(tls_file(self._room, sorted(named)), indent=1, sort_keys=True) + "\n"
        if self._is_there(text, named):
            self._remove_all_but(named)
            return False
        try:
            self._room.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, pair in named.items():
                _write_private(self._room / f"{name}.crt", pair.chain)
                _write_private(self._room / f"{name}.key", pair.key)
            for folder in (self._fresh.parent, self._target.parent):
                folder.mkdir(parents=True, exist_ok=True)
            with self._fresh.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            had = self._target.is_file()
            os.replace(self._fresh, self._target)
        except OSError as error:
            raise OutOfDisk(
                f"The certificates could not be written: {error.strerror}.",
                hint=MAKE_ROOM.format(again="wait a minute"),
            ) from error
        if had:
            time.sleep(SETTLE_SECONDS)
            self._remove_all_but(named)
        return True

    def _is_there(self, text: str, named: Iterable[str]) -> bool:
        try:
            if self._target.read_text() != text:
                return False
        except OSError:
            return False
        files = (self._room / f"{name}.{kind}" for name in named for kind in ("crt", "key"))
        return all(file.is_file() for file in files)

    def _others(self, named: Collection[str]) -> list[Path]:
        return [path for path in self._room.glob("*") if path.stem not in named]

    def _remove_all_but(self, named: Collection[str]) -> None:
        for path in self._others(named):
            with contextlib.suppress(OSError):
                path.unlink()


def tls_file(room: Path, names: Iterable[str]) -> dict[str, Any]:
    """The dynamic file. A name without a certificate gets Traefik's own default one, which nothing
    trusts: with `sniStrict` a browser would be told nothing that a person understands, and who
    connects by address, as checks of load balancers do, not be answered at all."""
    tls: dict[str, Any] = {
        "options": {
            "default": {"minVersion": "VersionTLS12"},
            MODERN.partition("@")[0]: {"minVersion": "VersionTLS13"},
        }
    }
    certificates = [
        {"certFile": str(room / f"{name}.crt"), "keyFile": str(room / f"{name}.key")}
        for name in names
    ]
    return {"tls": tls | ({"certificates": certificates} if certificates else {})}


def _digest(pair: KeyPair) -> str:
    """Of the chain alone: of a key nothing gets into a name."""
    return hashlib.sha256(pair.chain.encode()).hexdigest()[:32]


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all; a file of that name has that content already."""
    if path.is_file() and path.read_text() == text:
        return
    fresh = path.with_name(f".{path.name}")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
