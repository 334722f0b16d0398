"""Work that goes on as long as its process: nothing that fails in it ends it for good.

Nobody would start such a thread again: an app would not be looked after any more, and no page would
say so.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

logger = logging.getLogger("mist")
PAUSE_LEAST, PAUSE_MOST = 1.0, 30.0
"""Seconds between a failure and the next begin: twice as long each time it fails soon again."""
LATELY = 120.0
"""What failed within so many seconds, and was begun again since, may well fail once more."""
IN_A_ROW = 3
"""So often without having run for long in between: it will not mend by itself."""
_WORDS_MAX = 300
_failing: dict[str, float] = {}
"""What keeps failing in this process, and when it last did."""


@dataclass(frozen=True)
class Trouble:
    """A loop that failed lately."""

    what: str
    problem: str
    """The error's own words; empty where there was no room to write them down."""
    seconds: float
    """How long ago."""

    def __str__(self) -> str:
        because = f": {self.problem}" if self.problem else ""
        return f"{self.what} failed {self.seconds:.0f} s ago{because}"


def keep_up(
    work: Callable[[], None],
    *,
    what: str,
    stopping: threading.Event,
    least: float = PAUSE_LEAST,
    most: float = PAUSE_MOST,
) -> None:
    """Do `work` until it returns, or `stopping` is set. Whatever it raises is logged with its
    traceback, told to `./mist doctor` as a trouble of `what`, and begun again after a pause of
    `least` to `most` seconds."""
    failures = 0
    while not stopping.is_set():
        began = time.monotonic()
        try:
            work()
            return
        except Exception as error:
            now = time.monotonic()
            failures = 1 if now - began > most else failures + 1
            pause = min(least * 2 ** min(failures - 1, 10), most)
            logger.exception("%s failed and begins again in %g s", what, pause)
            _note(what, error)
            if failures >= IN_A_ROW:
                _failing[what] = now
        finally:
            connection.close()
        stopping.wait(pause)


def keeps_failing() -> bool:
    """Whether something in this process fails again and again."""
    now = time.monotonic()
    return any(now - at <= LATELY for at in list(_failing.values()))


def troubles() -> list[Trouble]:
    """What failed lately in any process of this Mist, by name."""
    found = []
    for path in sorted(_folder().glob("*")):
        try:
            seconds = time.time() - path.stat().st_mtime
            what, _, problem = path.read_text(errors="replace").partition("\n")
        except OSError:
            continue
        if seconds <= LATELY:
            found.append(Trouble(what or path.name.replace("-", " "), problem, max(0.0, seconds)))
    return found


def _folder() -> Path:
    return Path(settings.MIST_DATA_DIR) / "troubles"


def _note(what: str, error: Exception) -> None:
    """In a file, for the database may be what failed. Where even that cannot be written the log
    alone has it."""
    problem = " ".join(f"{type(error).__name__}: {error}".split())[:_WORDS_MAX]
    try:
        _folder().mkdir(mode=0o700, exist_ok=True)
        path = _folder() / re.sub(r"\W+", "-", what).strip("-").lower()
        path.touch(mode=0o600)
        path.write_text(f"{what}\n{problem}")
    except OSError as failure:
        logger.warning("That %s failed could not be written down: %s", what, failure)
