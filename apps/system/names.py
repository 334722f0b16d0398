"""Names that are chosen while Mist runs: the dashboard's, and the domain below which apps have one.

They lie in a small file of the data directory, which all processes of this Mist share. Whoever
needs a name looks at the file's time, so a change is seen by everybody at once, no page asks the
database for it, and it is known while the database is away.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from apps.engine.locks import file_lock
from apps.engine.public_addresses import ask_outside, own_addresses

LOCAL = "localhost"
"""The base domain of a server without a public address: it leads to the machine that asks."""
AUTOMATIC = "automatic"
SEEN_SECONDS = 30.0
"""How often the server's own interfaces are looked at."""


@dataclass(frozen=True)
class ChosenNames:
    base_domain: str = ""
    """Empty while nobody has chosen one."""
    dashboard: str = ""
    """The dashboard's own name, by which its owner has come; empty for none."""
    trial_host: str = ""
    """A name by which somebody has yet to come, and until when (seconds since 1970)."""
    trial_until: float = 0.0
    trial_by: int = 0
    """Id of the person who has to."""
    given_up: str = ""
    """The last name by which nobody came."""
    seen_address: str = ""
    """The public IPv4 address that `MIST_ADDRESS_SERVICE` has said last. Kept while nobody answers:
    the names of all apps hang on it."""
    https: str = AUTOMATIC
    """Where the certificate of the dashboard's name comes from: a value of `HttpsBy`."""
    trial_https: str = AUTOMATIC
    """The same of the name on trial."""
    sends_on: str = ""
    """The dashboard's name while its visitors are sent on to HTTPS; another one counts as none."""

    @property
    def has_trial(self) -> bool:
        return bool(self.trial_host) and time.time() < self.trial_until

    @property
    def is_sent_on(self) -> bool:
        return bool(self.dashboard) and self.sends_on == self.dashboard


_read: dict[Path, tuple[int, int, ChosenNames]] = {}
_automatic: dict[tuple[str, str], tuple[float, str]] = {}


def chosen_names() -> ChosenNames:
    """What was chosen, as it is now: a look at the file's time, seldom more."""
    path = _file()
    try:
        stat = path.stat()
    except OSError:
        return ChosenNames()
    mark = (stat.st_mtime_ns, stat.st_ino)
    known = _read.get(path)
    if known is None or known[:2] != mark:
        known = (*mark, _parsed(path))
        _read[path] = known
    return known[2]


def names_lock() -> AbstractContextManager[None]:
    """Whoever sees that a name is free and then takes it holds this meanwhile."""
    return file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "names")


def keep_names(**changes: Any) -> ChosenNames:
    """Write down what is chosen now; the rest stays. Whole or not at all."""
    with _writing():
        names = replace(chosen_names(), **changes)
        fresh = _file().with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(asdict(names), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, _file())
    return names


def dashboard_names() -> dict[str, str]:
    """Names that lead to the dashboard now, the one on trial last, and where the certificate of
    each comes from."""
    if settings.MIST_URL:
        return {}
    names = chosen_names()
    trial = {names.trial_host: names.trial_https} if names.has_trial else {}
    return {host: by for host, by in ({names.dashboard: names.https} | trial).items() if host}


def base_domain() -> str:
    """The domain below which every app has a name: that of `MIST_BASE_DOMAIN`, else the chosen one,
    else one that leads to the server's address by itself."""
    return settings.MIST_BASE_DOMAIN or chosen_names().base_domain or automatic_base()


def automatic_base() -> str:
    """`203-0-113-7.sslip.io` on a server with a public address, its own or the one that was said by
    `MIST_ADDRESS_SERVICE`, where `MIST_WILDCARD_DNS` is not turned off; else localhost."""
    service = settings.MIST_WILDCARD_DNS
    if not service:
        return LOCAL
    seen = chosen_names().seen_address if settings.MIST_ADDRESS_SERVICE else ""
    until, found = _automatic.get((service, seen), (0.0, ""))
    if time.monotonic() >= until:
        found = wildcard_name(_public_v4() or ((seen,) if seen else ()), service)
        _automatic[service, seen] = (time.monotonic() + SEEN_SECONDS, found)
    return found


def ask_for_address() -> bool:
    """Where the names of apps hang on it, ask `MIST_ADDRESS_SERVICE` by which address this server
    is seen; whether apps have other names since. Takes up to seconds: no page waits for it."""
    service, is_chosen = settings.MIST_ADDRESS_SERVICE, bool(chosen_names().base_domain)
    if not service or not settings.MIST_WILDCARD_DNS or settings.MIST_BASE_DOMAIN or is_chosen:
        return False
    if _public_v4():
        return False
    before, said = base_domain(), ask_outside(service)
    if said and said != chosen_names().seen_address:
        keep_names(seen_address=said)
    return base_domain() != before


def wildcard_name(addresses: tuple[str, ...], service: str) -> str:
    """The name below which everything leads to the first of the IPv4 addresses."""
    return f"{addresses[0].replace('.', '-')}.{service}" if addresses else LOCAL


# ------------------------------------------------------------------------------------------ parts


def _file() -> Path:
    return Path(settings.MIST_DATA_DIR) / "names.json"


def _writing() -> AbstractContextManager[None]:
    return file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "names-file")


def _parsed(path: Path) -> ChosenNames:
    try:
        found = json.loads(path.read_text())
        return ChosenNames(**{name: found[name] for name in asdict(ChosenNames()) if name in found})
    except (OSError, ValueError, TypeError):
        return ChosenNames()


def _public_v4() -> tuple[str, ...]:
    """Without asking anybody: a page may wait for this."""
    known = urlsplit(settings.MIST_URL).hostname or ""
    return own_addresses(named=settings.MIST_PUBLIC_ADDRESSES, known=known).public_of(4)
