"""When work has to end: a time limit and a person's wish, in one object that is passed down."""

from __future__ import annotations

import time
from collections.abc import Callable

from apps.engine.errors import Cancelled, TimedOut

ASK_SECONDS = 0.1
"""A question is a small query: some ten in a second for a deployment that only waits."""


class Deadline:
    """A limit in seconds for one step, and a question whether somebody cancelled it.

    Long-running calls poll `check()` at least every 0.5 s and stop what they started before they
    let its exception through.
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        what: str = "This step",
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.seconds = seconds
        self.what = what
        self._cancelled = cancelled
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never negative; a day when there is no limit."""
        return 86_400.0 if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise `Cancelled` or `TimedOut` when the work has to end now."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("Cancelled.")
        if self._end is not None and time.monotonic() >= self._end:
            raise TimedOut(f"{self.what} took longer than {self.seconds:.0f} s.")

    def sleep(self, seconds: float) -> None:
        """Sleep at most `seconds`, waking each `ASK_SECONDS` to `check()`."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, ASK_SECONDS, self.remaining() + 0.001))
            self.check()
