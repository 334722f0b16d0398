"""One Mist on an engine of its own, with an app that is live and never stops answering."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apps.deployments.logs import log_path
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_request
from apps.projects.models import App
from apps.projects.services import app_create, project_create
from apps.system.management.soak_invariants import find_broken, find_leaks, is_at_rest
from apps.system.management.soak_prober import Prober
from tests.engine.git_host import GitHost, Origin, serve_git
from tests.machine.inside import inside
from tests.machine.live import LiveMist, live_mist
from tests.machine.own_engine import POOL, OwnEngine, own_engine
from tests.machine.world import SAMPLES, wait_until

COUNTED = 20
COUNT = f"RUN for n in $(seq 1 {COUNTED}); do echo counted $n of %d; done\n"
"""A build step whose lines are all different, from those of other deployments too."""
SETTINGS = {
    "MIST_NETWORK_POOL": POOL,
    "MIST_CONCURRENT_DEPLOYMENTS": "1",
    "MIST_DRAIN_SECONDS": "30",
    "MIST_STOP_TIMEOUT": "3",
    "MIST_KEEP_IMAGES": "2",
}


@dataclass
class FaultWorld:
    mist: LiveMist
    engine: OwnEngine
    git: GitHost
    app: App
    origin: Origin
    other: App
    """Of the same project; not live."""
    prober: Prober
    version: int = 1

    def commit(self, *, dockerfile: str = "", files: dict[str, str] | None = None) -> None:
        """A new version, with more steps for its Dockerfile and other files."""
        self.version += 1
        steps = (SAMPLES / "steady" / "Dockerfile").read_text()
        healthy = (SAMPLES / "steady" / "site" / "cgi-bin" / "healthz").read_text()
        changed = {
            "Dockerfile": steps.replace("EXPOSE", COUNT % self.version + dockerfile + "EXPOSE"),
            "site/index.html": f"{self.version}\n",
            "site/cgi-bin/healthz": healthy,
        }
        self.origin.commit(changed | (files or {}), f"Version {self.version}")

    def request(self, app: App | None = None) -> Deployment:
        return deployment_request(app=app or self.app, requested_by=None)

    def wait_for(self, deployment: Deployment, status: Status, seconds: float = 90) -> None:
        """Return when it has that status. Raises `AssertionError` when it never has, or ends
        otherwise."""

        def reached() -> bool:
            deployment.refresh_from_db()
            over = deployment.status in (Status.FAILED, Status.CANCELLED, Status.SKIPPED)
            assert deployment.status == status or not over, self.story(deployment)
            return deployment.status == status

        wait_until(reached, f"{deployment} {status}", seconds)

    def story(self, deployment: Deployment) -> str:
        """All that is known, for a test that fails."""
        path = log_path(deployment.pk)
        log = path.read_text() if path.is_file() else "(no log)"
        said = (self.mist.data_dir / "mist.log").read_text()[-3000:]
        return f"{deployment} is {deployment.status}: {deployment.failure}\n{log}\n{said}"

    def settle(self, deployment: Deployment, release: Callable[[], None]) -> None:
        """Let everything come to its end, `release` being called again and again meanwhile."""

        def quiet() -> bool:
            release()
            return is_at_rest()

        deployment.refresh_from_db()
        try:
            wait_until(quiet, "rest", 180)
        except AssertionError as error:
            deployment.refresh_from_db()
            raise AssertionError(f"{error}\n{self.story(deployment)}") from None
        deployment.refresh_from_db()

    def check(self, deployment: Deployment) -> None:
        """The invariants, the log line by line, and no request that failed. Raises
        `AssertionError`."""
        assert find_broken() == [], self.story(deployment)
        assert find_leaks() == [], self.story(deployment)
        assert self.prober.failures == []
        # Each attempt at building says each line once, and those that come after it use its cache.
        logs = "".join(path.read_text() for path in log_path(0).parent.glob("*.log"))
        found = re.findall(rf"counted (\d+) of {self.version}$", logs, re.MULTILINE)
        counts = Counter(int(n) for n in found)
        assert len(set(counts.values())) <= 1 and len(counts) in (0, COUNTED), counts
        assert counts or deployment.status == Status.CANCELLED

    # ---------------------------------------------------------------------------------- faults

    def kill(self) -> None:
        """`kill -9` of Mist's process alone."""
        pid = self.mist.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.mist.pid is None, "the end of Mist")

    def ask_to_end(self) -> None:
        pid = self.mist.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)

    def up(self) -> None:
        self.mist.run("up", "--detach")


@contextmanager
def fault_world(folder: Path, *, live_restore: bool = True) -> Iterator[FaultWorld]:
    """The caller has unblocked the database."""
    with (
        own_engine(["busybox:latest"], live_restore=live_restore) as engine,
        serve_git(folder / "git") as git,
        live_mist(folder / "data", DOCKER_HOST=engine.host, **SETTINGS) as mist,
    ):
        mist.run("up", "--detach")
        with inside(mist):
            project = project_create(slug="shop", created_by=None)
            origin = git.create("acme/steady")
            shutil.copytree(SAMPLES / "steady", origin.path, dirs_exist_ok=True)
            origin.commit({}, "Version 1")
            app, other = (
                app_create(
                    project=project,
                    slug=slug,
                    repository=origin.url,
                    created_by=None,
                    health_path="/cgi-bin/healthz",
                )
                for slug in ("web", "other")
            )
            prober = Prober(port=int(mist.env["MIST_HTTP_PORT"]), host=app.host)
            world = FaultWorld(mist, engine, git, app, origin, other, prober)
            world.wait_for(world.request(), Status.LIVE)
            wait_until(is_at_rest, "rest")
            prober.start()
            try:
                yield world
            finally:
                prober.stop()
            # It asked at all: how often, depends on how long the tests took.
            assert prober.answered > 10


def seconds_since(began: float) -> float:
    return time.monotonic() - began
