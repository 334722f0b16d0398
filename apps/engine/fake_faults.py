"""What the actors of the fake engine share: a record of calls, and faults that a test plants."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable

Fault = Exception | Callable[[], object]

Call = tuple[str, str, str]
"""Actor, step and what it was about: ("containers", "build", "mist/shop:7")."""

Watch = Callable[[Call], object]


class Actor:
    """Records each call and lets planted faults happen, in the order they were planted."""

    actor = ""

    def __init__(self, journal: list[Call] | None = None) -> None:
        self._journal: list[Call] = [] if journal is None else journal
        self._planted: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.RLock()
        self.watch: Watch | None = None
        """Told of every call before anything happens; it may change the world, or raise."""

    @property
    def calls(self) -> list[tuple[str, str]]:
        """This actor's own calls so far: step and what it was about."""
        return [(step, subject) for actor, step, subject in self._journal if actor == self.actor]

    def fail(self, step: str, fault: Fault, *, times: int = 1) -> None:
        """The next `times` calls of `step` raise the exception, or run the hook and go on.

        A hook runs in the middle of the step, without any lock held: it may cancel the work,
        change the world or raise."""
        with self._lock:
            self._planted[step].extend([fault] * times)

    def enter(self, step: str, subject: str = "") -> None:
        with self._lock:
            self._journal.append((self.actor, step, subject))
            planted = self._planted[step]
            fault = planted.popleft() if planted else None
        if self.watch is not None:
            self.watch((self.actor, step, subject))
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            fault()
