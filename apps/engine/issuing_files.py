"""What Traefik keeps and is given of certificates, below its own folder: resolvers, credentials,
an issuer's storage."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from apps.engine import acme
from apps.engine.acme_outcomes import Issued, issued, without
from apps.engine.errors import ProxyUnavailable
from apps.engine.host import Check

_CHECK = "certificates"
TAIL = 4 * 1024 * 1024
"""Bytes of the log that are looked through, from its end."""


class IssuingFiles:
    """Readable by nobody but Mist's user and Traefik's.

    `apart`: Traefik is a container, which sees of the machine's files what is in `home`, and is
    started by others. Mist is one then, too, which sees the data directory.
    """

    def __init__(self, home: Path, *, ca_file: str, apart: bool = False) -> None:
        self._folder = home / acme.FOLDER
        self._resolvers = self._folder / "resolvers.json"
        self._digest = self._folder / "environment.digest"
        self._forgetting = self._folder / "forgetting"
        self._ca_file = ca_file
        self._apart = apart
        self._environment: dict[str, str] | None = None
        """None while this process was not told."""

    @property
    def environment_file(self) -> Path:
        """For a Traefik that is not started by Mist: lines that its shell reads before it."""
        return self._folder / "environment"

    def keep(self, issuing: acme.Issuing | None) -> None:
        """From now on this holds; None for what held last."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if issuing is None:
            return
        _write(self._resolvers, acme.resolvers_text(issuing, folder=self._folder))
        self._environment = acme.environment(
            issuing, folder=self._folder, ca_file=self._ca_file_for_traefik()
        )

    def _ca_file_for_traefik(self) -> str:
        """Its path where Traefik runs. Over one that it cannot read it gives up without a word."""
        if not self._ca_file or self._ca_problem():
            return ""
        if not self._apart:
            return self._ca_file
        text = Path(self._ca_file).read_text("utf-8", "replace")
        # Another name for another content: Traefik reads it when it starts.
        copy = self._folder / f"ca-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pem"
        _write(copy, text)
        return str(copy)

    def resolvers_text(self) -> str:
        """For the static configuration."""
        if self._resolvers.is_file():
            return self._resolvers.read_text()
        return acme.resolvers_text(acme.Issuing(), folder=self._folder)

    # ------------------------------------------------------------------------------ environment

    def has_another_environment(self) -> bool:
        """Whether the Traefik that runs was started with other credentials than it should have."""
        if self._environment is None:
            return False
        try:
            salt, digest = self._digest.read_text().split()
        except (OSError, ValueError):
            return bool(self._environment)
        return _digest(self._environment, salt) != digest

    def environment(self) -> Mapping[str, str]:
        """What to start Traefik with; remembered, by its digest only."""
        mine = self._environment or {}
        salt = secrets.token_hex(16)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What a container left: here credentials are in no file.
        self.environment_file.unlink(missing_ok=True)
        _write(self._digest, f"{salt} {_digest(mine, salt)}\n")
        return os.environ | mine

    def write_environment(self) -> bool:
        """Put it where Traefik's container reads it; whether that is new."""
        if self._environment is None:
            return False
        lines = [
            f"{key}={shlex.quote(value)}\n" for key, value in sorted(self._environment.items())
        ]
        text = "".join(lines)
        was = self.environment_file.read_text() if self.environment_file.is_file() else ""
        if was == text:
            return False
        _write(self.environment_file, text)
        return True

    @property
    def environment_written_at(self) -> float:
        """When it was last another one, in seconds of the epoch."""
        try:
            return self.environment_file.stat().st_mtime
        except OSError:
            return 0.0

    # ---------------------------------------------------------------------------------- storage

    def prepare_storage(self, directory: str) -> None:
        """Make the issuer's file where it is missing, so that it belongs to Mist's user even where
        Traefik is another one."""
        storage = self._folder / acme.storage_name(directory)
        if not storage.exists():
            _write(storage, "")

    def issued(self, directory: str) -> Sequence[Issued] | None:
        """The certificates of that issuer; None while they cannot be read, as for the moment in
        which Traefik writes them."""
        try:
            return issued((self._folder / acme.storage_name(directory)).read_text())
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            return None

    def forget(self, directory: str, doomed: Collection[tuple[str, ...]]) -> None:
        """Take the certificates for these names out of the issuer's storage, which Traefik reads
        when it starts and never again: it holds them until then. Raises `ProxyUnavailable`."""
        storage = self._folder / acme.storage_name(directory)
        # First of all: whoever ends between the two leaves a Traefik that is known to be behind.
        self._forgetting.touch(mode=0o600)
        try:
            _write(storage, without(storage.read_text(), doomed))
        except (OSError, ValueError) as error:
            raise ProxyUnavailable(
                "The storage of certificates cannot be read.", hint="Run ./mist doctor."
            ) from error

    @property
    def is_forgetting(self) -> bool:
        """Whether the Traefik that runs may hold what was taken out of its storage."""
        return self._forgetting.exists()

    @property
    def told_to_forget_at(self) -> float:
        """When something was last taken out of its storage, in seconds since the epoch; 0 where the
        Traefik that runs has read it since."""
        return self._forgetting.stat().st_mtime if self._forgetting.exists() else 0.0

    def note_start(self) -> None:
        """It starts now, and reads its storage."""
        self._forgetting.unlink(missing_ok=True)

    def check(self) -> Check:
        """Whether Traefik can use what it keeps here, and what it was given."""
        anew = "(./mist down --proxy, ./mist up)"
        named = "Name a file with certificates in PEM, and restart Mist."
        if self._apart:
            anew = "(docker compose restart traefik)"
            named = (
                "Name a file with certificates in PEM below the data directory, of which alone "
                "Mist's containers know, and run docker compose up --detach."
            )
        if problem := self._ca_problem():
            return Check(
                _CHECK, False, f"MIST_ACME_CA_FILE, {self._ca_file}, {problem}, so nobody uses it",
                named,
            )  # fmt: skip
        for path in sorted(self._folder.glob("*.json")):
            if path == self._resolvers:
                continue
            try:
                mode = path.stat().st_mode & 0o777
                issued(path.read_text())
            except (OSError, ValueError):
                return Check(
                    _CHECK, False, f"{path} cannot be read",
                    f"Move it away and restart Traefik {anew}: certificates are issued anew then.",
                )  # fmt: skip
            if mode & 0o077:
                return Check(
                    _CHECK, False, f"{path} can be read by others, so Traefik does not use it",
                    f"Run chmod 600 {path} and restart Traefik {anew}.",
                )  # fmt: skip
        return Check(_CHECK, True, "what Traefik keeps of them can be read, by nobody else")

    def _ca_problem(self) -> str:
        """Why the issuer's own certificates cannot be used; empty where nothing is in the way."""
        if not self._ca_file:
            return ""
        try:
            text = Path(self._ca_file).read_bytes()
        except OSError:
            return "cannot be read"
        return "" if b"-----BEGIN CERTIFICATE-----" in text else "has no certificates"


def last_lines(log: Path) -> list[str]:
    """Whole lines from the end of the log; none where there is no log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _digest(environment: Mapping[str, str], salt: str) -> str:
    text = json.dumps(dict(environment), sort_keys=True)
    return hashlib.scrypt(text.encode(), salt=salt.encode(), n=2**12, r=8, p=1).hex()


def _write(path: Path, text: str) -> None:
    if path.is_file() and path.read_text() == text:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(fresh, path)
