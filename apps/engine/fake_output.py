"""What a container of the fake engine writes, with the promises of `base.Output`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apps.engine.data import OutputLine

_POLL = 0.01


@dataclass
class FakeOutput:
    lines: Callable[[], list[OutputLine]]
    """All lines so far."""
    runs: Callable[[], bool]
    since: str
    tail: int | None
    follow: bool
    closed: bool = False

    def __iter__(self) -> Iterator[list[OutputLine]]:
        first = self.lines()
        wanted = [line for line in first if line.stamp >= self.since]
        if self.tail is not None:
            wanted = wanted[max(0, len(wanted) - self.tail) :]
        if wanted:
            yield wanted
        seen = len(first)
        while self.follow and not self.closed:
            running = self.runs()
            fresh = self.lines()[seen:]
            seen += len(fresh)
            if fresh:
                yield fresh
            elif not running:
                return
            else:
                time.sleep(_POLL)

    def close(self) -> None:
        self.closed = True
