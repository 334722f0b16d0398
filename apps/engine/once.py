"""What a process has one of, though several threads may ask for it first."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):
    """As `functools.cache`, which calls the function once for each thread that comes before it has
    returned, and gives these threads different values: here they wait for the same one.

    An error is not kept, the next caller tries again. Threads that ask for different arguments wait
    for each other too: it is for what is made quickly.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        self._cached = functools.cache(function)
        # A function may call itself.
        self._lock = threading.RLock()
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Hashable) -> T:
        with self._lock:
            return self._cached(*arguments)

    def cache_clear(self) -> None:
        """Make it anew when it is asked for the next time."""
        with self._lock:
            self._cached.cache_clear()
