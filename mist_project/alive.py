"""Whether a part of Mist is at work, told to whoever looks at its container from outside."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from apps.system.loops import keeps_failing

logger = logging.getLogger("mist")
SIGN = Path(tempfile.gettempdir()) / "mist-alive"
"""Touched every few seconds: the health check of `compose.yaml` looks how old it is."""
SIGN_SECONDS = 5.0


def watch_over(
    threads: Collection[threading.Thread], stopping: threading.Event, give_up: Callable[[], None]
) -> None:
    """Work of a thread: touch the sign as long as all of `threads` run and none keeps failing. One
    that ended by itself has Mist `give_up`, so that the process is started anew."""
    SIGN.touch()
    while not stopping.wait(SIGN_SECONDS):
        ended = [thread.name for thread in threads if not thread.is_alive()]
        if ended and not stopping.is_set():
            logger.error("A thread has ended by itself: %s", ", ".join(ended))
            give_up()
            return
        if not keeps_failing():
            SIGN.touch()
