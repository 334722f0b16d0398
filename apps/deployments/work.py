"""A deployment at work: what its steps share, its log and its lease."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.utils import Error as DatabaseError

from apps.deployments import events, lifecycle
from apps.deployments.ending import Ending
from apps.deployments.holdings import NOTHING_HELD, Holdings
from apps.deployments.log_writing import MIST, BuildLog
from apps.deployments.logs import log_path
from apps.deployments.masking import masker_of, masker_or_none
from apps.deployments.models import Deployment, Status
from apps.engine.base import Engine
from apps.engine.data import Container
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineAway
from apps.projects.models import App, EnvironmentVariable
from apps.projects.selectors import kept_path
from apps.system.loops import keep_up

logger = logging.getLogger("mist.deployments")
HEARTBEAT_SECONDS = 5.0
ASK_ENGINE_SECONDS = 0.25
stopping = threading.Event()
"""Set when the process ends: nothing new is begun, and what has begun goes back into the queue."""


class Interrupted(Exception):
    """Mist stops while a deployment is under way."""


@dataclass
class Work:
    """What the steps of one deployment share."""

    deployment: Deployment
    engine: Engine
    log: BuildLog
    undo: ExitStack
    variables: list[EnvironmentVariable] = field(default_factory=list)
    """As they were when the work began: the build and the container get the same."""
    replica: int = 1
    """Which of the deployment's containers is being started and checked."""
    held: Holdings = NOTHING_HELD
    """Volumes and ports, likewise."""
    is_resumed: bool = False
    """Whether another process began it, and ended."""
    ending: Ending | None = None
    """What has asked containers of the version before to end and waits for that."""

    def say(self, text: str) -> None:
        """Mist's own words in the log, under the stage that it is in or ended in."""
        stage = self.deployment.failed_stage or self.deployment.status
        self.log.write(stage, f"{MIST}{text}")

    def line(self, text: str) -> None:
        """A line of a tool's output."""
        self.log.write(self.deployment.status, text)

    def hide_values(self, *also: str) -> None:
        """From here on the log hides what was just recorded, and `also`, too."""
        self.log.hide(masker_of(self.deployment, *filter(None, also)))

    def hidden(self, text: str) -> str:
        """The text of a failure with known values hidden."""
        return self.log.masker.text(text)

    def deadline(self, seconds: float | None, what: str) -> Deadline:
        """A limit that also asks whether a person cancelled. Its `check` raises `Interrupted` when
        Mist stops, unless traffic is moving at once: that is finished."""

        def cancelled() -> bool:
            if self.deployment.is_rolling or self.deployment.status != Status.SWITCHING:
                check_stopping()
            return lifecycle.cancel_requested(self.deployment)

        return Deadline(seconds, what=what, cancelled=cancelled)

    def end(self, found: Sequence[Container], *, seconds: int) -> None:
        """End these containers, one after the other, each with its stop signal and so many seconds
        of grace. Raises `Cancelled` and `Interrupted` a moment later than told at most, and then
        `ending` goes on with it. Raises `EngineUnavailable`."""
        self.ending = Ending(self.app, self.engine.containers, found, seconds=seconds)
        self.ending.start()
        self.ending.wait(self.deadline(None, "Stopping"))

    @property
    def container_id(self) -> str:
        """The container that the work is at; empty before it is started."""
        ids = self.deployment.container_ids
        return ids[self.replica - 1] if len(ids) >= self.replica else ""

    @property
    def app(self) -> App:
        return self.deployment.app

    @property
    def mirror(self) -> Path:
        return Path(settings.MIST_DATA_DIR) / "repos" / str(self.app.pk)

    @property
    def kept(self) -> Path:
        """The repository that Mist keeps itself, of an app that is pushed or uploaded."""
        return kept_path(self.app)

    @property
    def checkout(self) -> Path:
        return Path(settings.MIST_DATA_DIR) / "builds" / str(self.deployment.pk)


@dataclass(frozen=True)
class Rest:
    """What is left to do for a deployment that has gone live, or has ended while its containers and
    the old ones shared the visitors. Nobody waits for it."""

    deployment: Deployment
    ending: Ending | None = None
    """As `Work.ending`."""
    is_resumed: bool = False
    """As `Work.is_resumed`."""


def check_stopping() -> None:
    """Raises `Interrupted` when Mist stops."""
    if stopping.is_set():
        raise Interrupted


def log_of(deployment: Deployment) -> BuildLog:
    """The build log, open for more lines; whoever watches is nudged."""
    return BuildLog(
        log_path(deployment.pk),
        nudge=lambda: events.log_grew(deployment_id=deployment.pk),
        masker=masker_or_none(deployment),
    )


@contextmanager
def lease(deployment: Deployment) -> Iterator[None]:
    """Renew the lease every few seconds from a thread of its own."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                lifecycle.heartbeat(deployment)
            except DatabaseError as error:
                logger.warning("Lease of deployment %s: %s", deployment.pk, error)
                connection.close()

    def keep() -> None:
        keep_up(renew, what="Renewing leases", stopping=done, most=HEARTBEAT_SECONDS)

    thread = threading.Thread(target=keep, name=f"lease-{deployment.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def wait_for_engine(engine: Engine, deadline: Deadline) -> None:
    """Return when the engine answers again. Raises what the deadline raises."""
    while True:
        deadline.sleep(ASK_ENGINE_SECONDS)
        try:
            engine.containers.info()
            return
        except EngineAway:
            continue
