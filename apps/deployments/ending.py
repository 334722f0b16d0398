"""Containers on their way out, which nobody has to wait for who is told to turn away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from apps.engine.base import Containers
from apps.engine.data import Container
from apps.engine.deadline import Deadline
from apps.engine.locks import file_lock
from apps.projects.models import App

LOOK_SECONDS = 0.2
END_SECONDS = 1.0
"""What a cancelled deployment waits for what it has asked to end."""


def wish_lock(app: App) -> Path:
    """The lock that is held while a wish of the app (stop, start, restart) is carried out."""
    return Path(settings.MIST_DATA_DIR) / "locks" / f"apply-{app.pk}"


class Ending:
    """Containers on their way out, beside the work: grace times may be long, so whoever waits can
    turn away. Until they are over no wish of the app is carried out; then one that was left waiting
    (`stop_first.want_back`) starts them again."""

    def __init__(
        self, app: App, containers: Containers, found: Sequence[Container], *, seconds: int
    ) -> None:
        """One after the other, each with its stop signal and so many seconds of grace."""
        self._thread = threading.Thread(target=self._end, name=f"ending-{app.pk}", daemon=True)
        self._containers = containers
        self._seconds = seconds
        self._ids = [container.id for container in found]
        self._lock = wish_lock(app)
        self._problem: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Whether they have ended, so many seconds later at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _end(self) -> None:
        try:
            with file_lock(self._lock):
                for one in self._ids:
                    self._containers.stop(one, timeout=self._seconds)
        except BaseException as error:
            self._problem = error

    def wait(self, deadline: Deadline) -> None:
        """Return when they have ended. Raises what `stop` and the deadline raise; then a moment
        later at most, for most apps end at once."""
        try:
            while not self.join(LOOK_SECONDS):
                deadline.check()
        except BaseException:
            self.join(END_SECONDS)
            raise
        if self._problem is not None:
            raise self._problem
