"""An engine in memory: quick, and able to fail at any step that a test names.

    fake = cast(FakeEngine, get_engine())
    fake.containers.fail("build", BuildFailed("Build step 4 failed."))
    fake.containers.fail("start", lambda: deployment_cancel(…))

It keeps the promises of `base`: names are unique, absent things may be removed, deadlines are
honoured, a route is confirmed only when it was written and its service has a running container.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.engine.base import Engine
from apps.engine.data import (
    Commit,
    Container,
    ContainerStatus,
    EngineConfig,
    GitAccess,
    LineSink,
    ProbeResult,
)
from apps.engine.deadline import Deadline
from apps.engine.errors import BranchNotFound, CloneFailed, SwitchFailed
from apps.engine.fake_containers import FakeContainers
from apps.engine.fake_faults import Actor, Call
from apps.engine.kept import kept
from apps.engine.known_hosts import HostKey
from apps.engine.routes import closed_service


class FakeGit(Actor):
    actor = "git"

    def __init__(self, journal: list[Call] | None = None) -> None:
        super().__init__(journal)
        self.files: dict[str, str] = {"Dockerfile": "FROM scratch\nEXPOSE 8000\n"}
        """What a checkout writes."""
        self.commits: dict[str, Commit] = {}
        """Branch → the commit at its tip."""
        self.accesses: list[GitAccess | None] = []
        """What each fetch and each look at branches was given."""
        self.shown_keys: tuple[HostKey, ...] = ()
        """What every SSH server shows; one key when nobody says."""
        self._numbers = itertools.count(1)
        self.commit("First version")

    def commit(self, message: str, branch: str = "main") -> Commit:
        """A new commit at the branch's tip. Not a method of engines."""
        commit = Commit(
            sha=f"{next(self._numbers):040x}",
            message=message,
            author="Alice",
            committed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )
        # By its own digits too: it can still be deployed when the branch has moved on.
        self.commits[branch] = self.commits[commit.sha] = commit
        return commit

    def fetch(
        self,
        *,
        url: str,
        mirror: Path,
        ref: str,
        log: LineSink,
        deadline: Deadline,
        access: GitAccess | None = None,
    ) -> Commit:
        self.accesses.append(access)
        deadline.check()
        self.enter("fetch", ref)
        deadline.check()
        known = self.commits | {commit.sha: commit for commit in self.commits.values()}
        if ref not in known:
            branches = ", ".join(name for name in self.commits if len(name) != 40)
            raise BranchNotFound(
                f"The branch {ref} does not exist. The repository has: {branches}.",
                hint="Choose one of the repository's branches in the app's settings.",
            )
        log(f"From {url}")
        return known[ref]

    def checkout(
        self,
        *,
        mirror: Path,
        sha: str,
        target: Path,
        deadline: Deadline,
        url: str = "",
        log: LineSink | None = None,
        access: GitAccess | None = None,
    ) -> None:
        self.enter("checkout", sha)
        deadline.check()
        if not any(commit.sha == sha for commit in self.commits.values()):
            raise CloneFailed(f"The commit {sha[:7]} is not in the mirror.")
        target.mkdir(parents=True)
        for name, text in self.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def branches(
        self, *, url: str, deadline: Deadline, access: GitAccess | None = None
    ) -> tuple[str, ...]:
        self.accesses.append(access)
        self.enter("branches", url)
        deadline.check()
        return tuple(sorted(name for name in self.commits if len(name) != 40))

    def host_keys(self, *, host: str, port: int, deadline: Deadline) -> tuple[HostKey, ...]:
        self.enter("host_keys", f"{host}:{port}")
        deadline.check()
        return self.shown_keys or (HostKey(host, port, "ssh-ed25519", "AAAA" * 17),)

    def find_kept(self, *, repository: Path, branch: str, ref: str, deadline: Deadline) -> Commit:
        """Of a real repository, as the two below: git is there wherever Mist is."""
        self.enter("find_kept", ref)
        with kept(repository, branch=branch, deadline=deadline) as found:
            return found.find(ref)

    def checkout_kept(
        self, *, repository: Path, branch: str, sha: str, target: Path, deadline: Deadline
    ) -> None:
        self.enter("checkout_kept", sha)
        with kept(repository, branch=branch, deadline=deadline) as found:
            found.checkout(sha, target)

    def advance_kept(self, *, repository: Path, branch: str, sha: str, deadline: Deadline) -> None:
        self.enter("advance_kept", sha)
        with kept(repository, branch=branch, deadline=deadline) as found:
            found.advance(branch, sha)


class FakeProxy(Actor):
    actor = "proxy"

    def __init__(self, containers: FakeContainers, journal: list[Call] | None = None) -> None:
        super().__init__(journal)
        self.routes: dict[str, Mapping[str, Any]] = {}
        """App → its dynamic configuration as it was written."""
        self.leads: dict[str, Mapping[str, Any]] = {}
        """App → the configuration by which requests go now."""
        self.takes_up_late = False
        """Whether what is written counts only once somebody waited for it, or `take_up` is called:
        the real proxy needs a moment."""
        self.sick: set[str] = set()
        """Images whose containers answer with an error."""
        self.answers: list[ProbeResult] = []
        """Given in turn; afterwards what runs is healthy."""
        self.refusals: list[str] = []
        """Why connections fail, in turn; afterwards they are accepted."""
        self._containers = containers
        self._running = False

    def running(self) -> bool:
        return self._running

    def version(self) -> str:
        self.enter("version")
        return "3.7.15"

    def prepare(self) -> None:
        self.enter("prepare")

    def ensure_running(self) -> None:
        self.enter("ensure_running")
        self._running = True

    def stop(self) -> None:
        self.enter("stop")
        self._running = False

    def probe(
        self, *, host: str, path: str, timeout: float = 5.0, deadline: Deadline | None = None
    ) -> ProbeResult:
        self.enter("probe", host)
        with self._lock:
            if self.answers:
                return self.answers.pop(0)
        for container in self._live():
            if host.split(".")[0] == container.name:
                return ProbeResult(500 if container.image in self.sick else 200, 1.0)
        return ProbeResult(None, 1.0, "nothing listens behind that name")

    def connect(
        self, *, address: str, port: int, timeout: float = 5.0, deadline: Deadline | None = None
    ) -> str:
        self.enter("connect", f"{address}:{port}")
        with self._lock:
            return self.refusals.pop(0) if self.refusals else ""

    def write_routes(self, app: str, routes: Mapping[str, Any]) -> None:
        self.enter("write_routes", app)
        self.routes[app] = routes
        self._written()

    def read_routes(self, app: str) -> Mapping[str, Any] | None:
        self.enter("read_routes", app)
        return self.routes.get(app)

    def remove_routes(self, app: str) -> None:
        self.enter("remove_routes", app)
        self.routes.pop(app, None)
        self._written()

    def take_up(self) -> None:
        """Lead requests by what is written. Not a method of proxies."""
        self.leads = dict(self.routes)

    def _written(self) -> None:
        if not self.takes_up_late:
            self.take_up()

    def routed_apps(self) -> Sequence[str]:
        self.enter("routed_apps")
        return list(self.routes)

    def wait_for_route(
        self, *, router: str, service: str, deadline: Deadline, servers: int = 1
    ) -> None:
        self.enter("wait_for_route", router)
        deadline.check()
        self.take_up()
        if self._service_of(router) != service.removesuffix("@docker"):
            raise SwitchFailed(f"The proxy has no route {router} to {service}.")
        label = f"traefik.http.services.{service.removesuffix('@docker')}."
        found = [c for c in self._live() if any(key.startswith(label) for key in c.labels)]
        if len(found) < servers:
            raise SwitchFailed(f"The service {service} has {len(found)} of {servers} servers.")

    def wait_until_closed(self, *, router: str, deadline: Deadline) -> None:
        self.enter("wait_until_closed", router)
        deadline.check()
        if self._service_of(router) != closed_service(router):
            raise SwitchFailed(f"The route {router} is open.")

    def wait_until_gone(self, *, router: str, deadline: Deadline) -> None:
        self.enter("wait_until_gone", router)
        deadline.check()
        self.take_up()
        if self._service_of(router) is not None:
            raise SwitchFailed(f"The proxy still has the route {router}.")

    def wait_until_taken_up(self, app: str, *, deadline: Deadline) -> None:
        self.enter("wait_until_taken_up", app)
        deadline.check()
        self.take_up()

    def drain(self, *, address: str, port: int, patience: float) -> bool:
        self.enter("drain", address)
        return True

    def _service_of(self, router: str) -> str | None:
        for routes in list(self.routes.values()):
            if found := routes.get("http", {}).get("routers", {}).get(router):
                return str(found["service"]).removesuffix("@docker")
        return None

    def _live(self) -> list[Container]:
        return [
            container
            for container in list(self._containers.all.values())
            if container.status is ContainerStatus.RUNNING
        ]


@dataclass(frozen=True)
class FakeEngine(Engine):
    git: FakeGit
    containers: FakeContainers
    proxy: FakeProxy
    calls: list[Call] = field(default_factory=list)
    """Every call of every actor, in order: ("containers", "build", "mist/shop:7")."""


def make_engine(config: EngineConfig) -> FakeEngine:
    """A fresh world, empty but for one commit on `main`."""
    calls: list[Call] = []
    containers = FakeContainers(calls)
    return FakeEngine(
        git=FakeGit(calls),
        containers=containers,
        proxy=FakeProxy(containers, calls),
        config=config,
        calls=calls,
    )
