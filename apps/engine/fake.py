"""An engine in memory: quick, and able to fail at any step that a test names.

    fake = cast(FakeEngine, get_engine())
    fake.containers.fail("build", BuildFailed("Build step 4 failed."))
    fake.containers.fail("start", lambda: deployment_cancel(…))

It keeps the promises of `base`: names are unique, absent things may be removed, deadlines are
honoured, a route is confirmed only when it was written and its service has a running container.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.engine.acme import Issuing
from apps.engine.acme_outcomes import Issued, Refusal
from apps.engine.base import Engine
from apps.engine.data import Container, ContainerStatus, EngineConfig, ProbeResult
from apps.engine.deadline import Deadline
from apps.engine.errors import SwitchFailed
from apps.engine.fake_certificates import FakeCertificates
from apps.engine.fake_containers import FakeContainers
from apps.engine.fake_faults import Call
from apps.engine.fake_git import FakeGit
from apps.engine.host import Check
from apps.engine.labels import probe_router
from apps.engine.proxy_state import ProxyState
from apps.engine.routes import closed_service


class FakeProxy(FakeCertificates):
    actor = "proxy"

    def __init__(self, containers: FakeContainers, journal: list[Call] | None = None) -> None:
        super().__init__(journal)
        self.routes: dict[str, Mapping[str, Any]] = {}
        """App → its dynamic configuration as it was written."""
        self.dashboard: Mapping[str, Any] = {}
        """The same of Mist's own pages."""
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
        self.state_now: ProxyState | None = None
        """What it says of itself; what it should be, when nobody says otherwise."""
        self.silent: dict[str, str] = {}
        """Entry points that do not answer, and why."""
        self.issuing: Issuing | None = None
        """What it was told last of certificates."""
        self.issued: list[Issued] = []
        self.hides_certificates = False
        """As the real one for the moment in which it writes them."""
        self.refused: list[Refusal] = []
        self.extras: dict[str, Mapping[str, Any]] = {}
        """Configuration of Mist's own, by name."""
        self._containers = containers
        self._running = False

    def running(self) -> bool:
        return self._running

    def version(self) -> str:
        self.enter("version")
        return "3.7.15"

    def state(self) -> ProxyState:
        self.enter("state")
        return self.state_now or self.right_state()

    def right_state(self) -> ProxyState:
        """All that is written is taken up. Not a method of proxies."""
        files = {f"app-{app}": routes for app, routes in self.routes.items()}
        routers = {
            f"{name}@file": router
            for routes in self.routes.values()
            for name, router in routes["http"]["routers"].items()
        }
        names = (probe_router(container.labels) for container in self._live())
        probes = {f"{name}@docker": {"entryPoints": ["probe"]} for name in names if name}
        return ProxyState("3.7.15", True, files, routers | probes)

    def entry_points(self) -> Mapping[str, str]:
        self.enter("entry_points")
        return {"HTTP (port 80)": ""} | self.silent

    def prepare(self, issuing: Issuing | None = None) -> None:
        self.enter("prepare")
        self.issuing = issuing or self.issuing

    def ensure_running(self, issuing: Issuing | None = None) -> None:
        self.enter("ensure_running")
        self._running = True
        self.issuing = issuing or self.issuing

    def issued_certificates(self, directory: str) -> Sequence[Issued] | None:
        self.enter("issued_certificates", directory)
        return None if self.hides_certificates else list(self.issued)

    def forget_certificates(self, issuing: Issuing, doomed: Collection[tuple[str, ...]]) -> None:
        self.enter("forget_certificates", ", ".join(sorted(hosts[0] for hosts in doomed)))
        self.issuing = issuing
        self.issued = [one for one in self.issued if one.hosts not in doomed]

    def refused_certificates(self, since: dt.datetime) -> Sequence[Refusal]:
        self.enter("refused_certificates")
        return [one for one in self.refused if one.at >= since]

    def check_certificates(self) -> Check:
        return Check("certificates", True, "nothing is kept")

    def write_extra(self, name: str, configuration: Mapping[str, Any]) -> None:
        self.enter("write_extra", name)
        self.extras[name] = configuration

    def await_end(self, seconds: float) -> None:
        time.sleep(seconds)

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

    def write_dashboard(self, routes: Mapping[str, Any]) -> None:
        self.enter("write_dashboard")
        self.dashboard = routes

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

    def drifted(self, wanted: Mapping[str, Mapping[str, Any]]) -> Collection[str]:
        self.enter("drifted")
        return [app for app, routes in wanted.items() if self.routes.get(app, {}) != routes]

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

    def wait_for_servers(
        self, *, router: str, service: str, servers: Collection[str], deadline: Deadline
    ) -> None:
        self.enter("wait_for_servers", router)
        deadline.check()
        self.take_up()
        app = self.routes.get(router.removeprefix("app-"), {}).get("http", {})
        balancer = app.get("services", {}).get(service, {}).get("loadBalancer", {})
        found = {str(one["url"]) for one in balancer.get("servers", ())}
        if self._service_of(router) != service or found != set(servers):
            raise SwitchFailed(f"The route {router} leads to {sorted(found)}.")

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
