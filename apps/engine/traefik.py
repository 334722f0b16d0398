"""Traefik as a detached process: Mist may stop or restart, apps keep serving."""

from __future__ import annotations

import datetime as dt
import json
import string
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.engine.acme import Issuing
from apps.engine.acme_outcomes import Issued, Refusal, refusals
from apps.engine.certificates import KeyPair
from apps.engine.data import EngineConfig, ProbeResult
from apps.engine.deadline import Deadline
from apps.engine.errors import ProxyUnavailable
from apps.engine.handshake import Seen, look
from apps.engine.host import Check
from apps.engine.issuing_files import IssuingFiles, last_lines
from apps.engine.locks import file_lock
from apps.engine.probe import connect, is_connected, probe
from apps.engine.proxy_addresses import LOOPBACK, inner_address, public_address
from apps.engine.proxy_reach import ask_entry_points
from apps.engine.proxy_state import ProxyState, RouteProblem, read_files, route_problems
from apps.engine.route_files import DASHBOARD, RouteFiles
from apps.engine.tls_files import TlsFiles
from apps.engine.traefik_api import TraefikApi
from apps.engine.traefik_process import TraefikProcess
from apps.engine.traffic_rules import shared_rules

SOURCE = Path(__file__).resolve().parents[2] / "traefik"
DRAIN_POLL_SECONDS = 0.25


class Traefik:
    """Implements `proxy.Proxy`. One per instance, found again by its pid file."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._home = config.data_dir / "traefik"
        self._files = RouteFiles(self._home)
        self._tls = TlsFiles(self._home)
        self._issuing = IssuingFiles(self._home, ca_file=config.acme_ca_file)
        self._process = TraefikProcess(config, self._home)
        self._log = self._process.log
        self._host = config.proxy_host or LOOPBACK
        self._api = TraefikApi(
            self._host, config.proxy_api_port, log_hint=f"Its log is {self._log}."
        )

    # ---------------------------------------------------------------------------------- process

    def running(self) -> bool:
        return self._process.pid() is not None

    def version(self) -> str:
        return self._api.version()

    def state(self) -> ProxyState:
        routers, files = self._api.routers(), read_files(self._files.dynamic)
        return ProxyState(self.version(), self._is_current(), files, routers)

    def _is_current(self) -> bool:
        static = self._process.static
        return static.is_file() and static.read_text() == self._static_configuration()

    def entry_points(self) -> Mapping[str, str]:
        return ask_entry_points(self._config)

    def prepare(self, issuing: Issuing | None = None) -> None:
        self._issuing.keep(issuing)
        self._write_static()

    def _write_static(self) -> bool:
        """Write what Traefik reads when it starts; whether that is new."""
        self._files.write_shared("mist", shared_rules(self._config.pages_url))
        self._tls.ensure()
        if self._is_current():
            return False
        static = self._process.static
        # Nobody else's to read: an issuer's key may be in it.
        static.touch(mode=0o600)
        static.chmod(0o600)
        static.write_text(self._static_configuration())
        return True

    def ensure_running(self, issuing: Issuing | None = None) -> None:
        """Start Traefik unless this instance's runs with this very configuration, environment and
        program.

        Raises `ProxyUnavailable` with the reason when it does not come up. Two callers may race.
        """
        with file_lock(self._process.lock):
            self._issuing.keep(issuing)
            self._ensure_running()

    def _ensure_running(self) -> None:
        self._process.settle()
        is_new = self._write_static() or self._issuing.has_another_environment()
        is_new |= self._issuing.is_forgetting
        is_right = not is_new and not self._process.is_replaced()
        if is_right and self.running() and self._api.answers():
            return
        try:
            self._process.start(self._issuing.environment(), self._problems)
            self._issuing.note_start()
        except ProxyUnavailable:
            # One that still runs was started with something else: let it be tried again.
            self._process.static.unlink(missing_ok=True)
            raise

    def _problems(self) -> Sequence[RouteProblem] | None:
        """What the newest of two Traefiks has not taken up of the files; None while it does not
        answer. Once it knows containers, a route that leads to none is as it should be."""
        try:
            routers = self._api.routers(newest=True)
        except ProxyUnavailable:
            return None
        files = read_files(self._files.dynamic)
        knows = any(name.endswith("@docker") for name in routers)
        problems = route_problems(ProxyState("", True, files, routers), ())
        return [one for one in problems if one.needed or not knows]

    def await_end(self, seconds: float) -> None:
        self._process.await_end(seconds)

    def stop(self) -> None:
        self._process.stop()

    def _static_configuration(self) -> str:
        text = (SOURCE / "traefik.yml").read_text()
        return string.Template(text).substitute(self._placeholders())

    def _placeholders(self) -> dict[str, object]:
        config = self._config
        return {
            "bind": public_address(config),
            "inside": inner_address(config),
            "http_port": config.http_port,
            "https_port": config.https_port,
            "probe_port": config.probe_port,
            "api_port": config.proxy_api_port,
            "more_entry_points": "",
            "docker_host": config.docker_host or "unix:///var/run/docker.sock",
            "constraints": f"Label(`mist.instance`, `{config.instance}`)",
            "dynamic_dir": self._files.dynamic,
            "trusted_proxies": json.dumps(config.trusted_proxies),
            "resolvers": self._issuing.resolvers_text(),
        }

    # ----------------------------------------------------------------------------- certificates

    def issued_certificates(self, directory: str) -> Sequence[Issued] | None:
        return self._issuing.issued(directory)

    def forget_certificates(self, issuing: Issuing, doomed: Collection[tuple[str, ...]]) -> None:
        with file_lock(self._config.data_dir / "locks" / "proxy"):
            self._issuing.keep(issuing)
            self._issuing.forget(issuing.directory, doomed)
            if self.running():
                self._ensure_running()

    def refused_certificates(self, since: dt.datetime) -> Sequence[Refusal]:
        return refusals(last_lines(self._log), since=since)

    def check_certificates(self) -> Check:
        return self._issuing.check()

    # ----------------------------------------------------------------------------------- probes

    def probe(
        self, *, host: str, path: str, timeout: float = 5.0, deadline: Deadline | None = None
    ) -> ProbeResult:
        where = (self._host, self._config.probe_port)
        return probe(where, host=host, path=path, timeout=timeout, deadline=deadline)

    def connect(
        self, *, address: str, port: int, timeout: float = 5.0, deadline: Deadline | None = None
    ) -> str:
        return connect(address=address, port=port, timeout=timeout, deadline=deadline)

    # ----------------------------------------------------------------------------------- routes

    def write_routes(self, app: str, routes: Mapping[str, Any]) -> None:
        if routes:
            self._files.write(app, routes)
        else:
            self._files.remove(app)

    def write_dashboard(self, routes: Mapping[str, Any]) -> None:
        if routes:
            self._files.write_shared(DASHBOARD, routes)
        else:
            self._files.remove_shared(DASHBOARD)

    def write_extra(self, name: str, configuration: Mapping[str, Any]) -> None:
        if configuration:
            self._files.write_shared(f"mist-{name}", configuration)
        else:
            self._files.remove_shared(f"mist-{name}")

    def read_routes(self, app: str) -> Mapping[str, Any] | None:
        return self._files.read(app)

    def remove_routes(self, app: str) -> None:
        self._files.remove(app)

    def drifted(self, wanted: Mapping[str, Mapping[str, Any]]) -> Collection[str]:
        return self._files.drifted(wanted)

    def routed_apps(self) -> Sequence[str]:
        return self._files.apps()

    def write_certificates(self, pairs: Collection[KeyPair]) -> bool:
        return self._tls.write(pairs)

    def look_at_certificate(self, host: str, *, root: str = "") -> Seen | None:
        own = public_address(self._config).strip("[]") or LOOPBACK
        where = (self._config.proxy_host or own, self._config.https_port)
        return look(where, host=host, root=root, ca_file=self._config.acme_ca_file)

    def wait_for_route(
        self, *, router: str, service: str, deadline: Deadline, servers: int = 1
    ) -> None:
        self._api.wait_for_route(router, service, servers, deadline)

    def wait_for_servers(
        self, *, router: str, service: str, servers: Collection[str], deadline: Deadline
    ) -> None:
        self._api.wait_for_servers(router, service, servers, deadline)

    def wait_until_closed(self, *, router: str, deadline: Deadline) -> None:
        self._api.wait_until_closed(router, deadline)

    def wait_until_gone(self, *, router: str, deadline: Deadline) -> None:
        self._api.wait_until_gone(router, deadline)

    def wait_until_taken_up(self, app: str, *, deadline: Deadline) -> None:
        self._api.wait_until_taken_up(self.read_routes(app) or {}, deadline)

    def drain(self, *, address: str, port: int, patience: float) -> bool:
        """A connection that Traefik keeps for later is closed after `idleConnTimeout`, so one that
        stays has a request in progress."""
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(DRAIN_POLL_SECONDS, left))
            if not self._is_connected(address, port):
                return True
        return not self._is_connected(address, port)

    def _is_connected(self, address: str, port: int) -> bool:
        return is_connected(address, port, Path("/proc/net/tcp").read_text())
