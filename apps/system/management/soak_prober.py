"""A steady visitor of an app, through the proxy on this machine."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PAUSE = 0.02


@dataclass
class Prober:
    """Asks for the app's page some forty times a second, each time on a new connection."""

    port: int
    host: str
    path: str = "/"
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    """What went wrong, with seconds since the epoch."""
    _counts: bool = True
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"visitor-{self.host}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What fails meanwhile does not count: the app is down on purpose."""
        self._counts = False
        try:
            yield
        finally:
            self._counts = True

    def ask(self, timeout: float = 10) -> str:
        """Why there was no good answer, empty when there was."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", self.path, headers={"Host": self.host})
            response = connection.getresponse()
            body = response.read(200)
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
        return "" if response.status == 200 else f"HTTP {response.status} {body!r}"

    def wait(self, seconds: float, *, steady: float = 0.0) -> bool:
        """Whether it answers well within that time, and for the `steady` seconds that follow: the
        proxy hears of a container that ends and comes back one after the other."""
        until, good_since = time.monotonic() + seconds, 0.0
        while True:
            now = time.monotonic()
            if self.ask(2):
                good_since = 0.0
                if now > until:
                    return False
            else:
                good_since = good_since or now
                if now - good_since >= steady:
                    return True
            time.sleep(0.05)

    def _run(self) -> None:
        while not self._over.wait(PAUSE):
            counted = self._counts
            problem = self.ask()
            if not problem:
                self.answered += 1
            elif counted and self._counts:
                self.failures.append(f"{time.time():.3f} {problem}")
