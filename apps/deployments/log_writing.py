"""Writing build logs, with known values hidden before anything reaches the disk."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from apps.deployments.logs import FILE_MAX, LINE_MAX
from apps.engine.masking import Masker, Masking

logger = logging.getLogger("mist.deployments")
NUDGE_SECONDS = 0.08
WAIT_SECONDS = 1.0
"""How long a line waits whose end is the beginning of a value, while no other comes."""
_STEP = re.compile(r"#(\d+) (?:\d+\.\d+ )?")
"""What BuildKit writes in front of a step's line."""
BLOCK = 65_536
MIST = "» "
"""In front of Mist's own words."""


class BuildLog:
    """Appends lines and nudges viewers at most each 80 ms. Safe from several threads.

    A disk that is full costs lines and never the work that writes them: whatever was stopped for it
    has to run again. Once there is room, the log says how many lines are missing.
    """

    def __init__(
        self, path: Path, *, nudge: Callable[[], None], masker: Masker | None = None
    ) -> None:
        self._nudge = nudge
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._waiter: threading.Timer | None = None
        self._fed = 0.0
        self._track = ""
        self._rest = b""
        """Of a line that was begun, or that comes next, what did not fit."""
        self._missing = 0
        """Lines after it that are lost."""
        self._stamp = ""
        self._path, self._closed = path, False
        self._file: io.FileIO | None = None
        self.masker = masker or Masker(())
        self._stream = Masking(self.masker)
        self._size = 0
        with contextlib.suppress(OSError):
            self._open()

    def hide(self, masker: Masker) -> None:
        """From here on what this one knows is hidden."""
        with self._lock:
            self._put(self._stream.settle())
            self.masker, self._stream = masker, Masking(masker)

    def write(self, stage: str, text: str) -> None:
        """Append one line; past 50 MB only a last notice is written."""
        clean = text.replace("\n", " ").replace("\x00", "")
        stamp = f"{time.time() * 1000:.0f} {stage} "
        with self._lock:
            track, begin = self._place(clean) if self.masker else ("", 0)
            self._put(self._stream.feed(clean, tag=stamp, track=track, begin=begin))
            if self._stream.waits:
                self._fed = time.monotonic()
                self._wait(WAIT_SECONDS)

    def _place(self, text: str) -> tuple[str, int]:
        """Which of the streams in the log a line is of, and where its own text begins. What does
        not say so goes on with the line before it, as the rest of a very long one."""
        if text.startswith(MIST):
            return MIST, len(MIST)
        if text.startswith("#") and (found := _STEP.match(text)):
            self._track = found[1]
            return found[1], found.end()
        return self._track, 0

    def _put(self, lines: list[tuple[str, str]]) -> None:
        for stamp, text in lines:
            if self._size > FILE_MAX:
                return
            line = f"{stamp}{text[:LINE_MAX]}\n".encode(errors="replace")
            if self._size + len(line) > FILE_MAX:
                line = f"{stamp}{MIST}The log ends here: 50 MB.\n".encode()
                self._size = FILE_MAX
            self._append(stamp, line)
            self._size += len(line)
            if self._timer is None:
                self._timer = threading.Timer(NUDGE_SECONDS, self._tell)
                self._timer.daemon = True
                self._timer.start()

    def _open(self) -> io.FileIO:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _mend(self._path)
            self._file = self._path.open("ab", buffering=0)
            self._size = self._file.tell()
        return self._file

    def _append(self, stamp: str, line: bytes) -> None:
        self._stamp = stamp
        if self._missing:
            many = "1 line is" if self._missing == 1 else f"{self._missing} lines are"
            said = f"{MIST}{many} missing here: the disk took no more."
            line = f"{stamp}{said}\n".encode() + line
        every = self._rest + line
        try:
            written = self._open().write(every) or 0
        except OSError as error:
            if not self._rest:
                logger.warning("%s cannot grow: %s", self._path.name, error)
            written = 0
        if self._rest and written < len(self._rest):
            self._rest = self._rest[written:]
            self._missing += 1
        else:
            self._rest, self._missing = every[written:], 0

    def _wait(self, seconds: float) -> None:
        if self._waiter is None:
            self._waiter = threading.Timer(seconds, self._waited)
            self._waiter.daemon = True
            self._waiter.start()

    def _waited(self) -> None:
        """Nothing came for a while: what waits is written. Else it waits on."""
        with self._lock:
            self._waiter = None
            left = self._fed + WAIT_SECONDS - time.monotonic()
            if self._closed or not self._stream.waits:
                return
            if left > 0.01:
                self._wait(left)
            else:
                self._put(self._stream.settle())

    def _tell(self) -> None:
        with self._lock:
            self._timer = None
        self._nudge()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._put(self._stream.settle())
            for timer in (self._timer, self._waiter):
                if timer is not None:
                    timer.cancel()
            self._timer = self._waiter = None
            if self._rest:
                self._append(self._stamp, b"")
            self._closed = True
            if self._file is not None:
                self._file.close()
        self._nudge()


def _mend(path: Path) -> None:
    """Leave whole lines only. A machine that lost its power may come back with zeros where the file
    was growing, or with a part of what was written last (ext4(5), delayed allocation)."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return
    with file:
        size = end = file.seek(0, os.SEEK_END)
        last = b""
        while end and not last:
            begin = max(0, end - BLOCK)
            file.seek(begin)
            last = file.read(end - begin).rstrip(b"\0")
            end = begin + len(last)
        if end < size:
            file.truncate(end)
            if last and not last.endswith(b"\n"):
                file.seek(end)
                file.write(b"\n")
        elif last and not last.endswith(b"\n") and _is_still(path, size):
            file.seek(size)
            file.write(b"\n")


def _is_still(path: Path, size: int) -> bool:
    """Whether nobody is writing that line at this very moment."""
    time.sleep(0.02)
    return path.stat().st_size == size
