"""Traefik as a container that compose starts and stops, beside containers of Mist's own parts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager

import docker
from docker.errors import APIError
from docker.models.containers import Container

from apps.engine.acme import Issuing
from apps.engine.acme_outcomes import Refusal, refusals
from apps.engine.client import connect, guard
from apps.engine.data import EngineConfig
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, ProxyUnavailable
from apps.engine.issuing_files import IssuingFiles
from apps.engine.locks import file_lock
from apps.engine.probe import is_connected, no_connection
from apps.engine.proxy_container import find_proxy, join_all, missing_networks
from apps.engine.proxy_state import ProxyState
from apps.engine.traefik import Traefik
from apps.engine.traefik_api import TraefikApi

logger = logging.getLogger("mist.engine")
DASHBOARD_LABEL = "mist.dashboard-of"
"""On the containers of the dashboard, as `PROXY_LABEL` on Traefik's."""
LOG_LINES = 5_000
FINISH_SECONDS = 1
"""How long one that is restarted may go on with what it has begun; nobody new comes in then."""
UP_SECONDS, POLL_SECONDS = 20.0, 0.03
_SILENT = "Run docker compose up --detach, or docker compose logs traefik to see why."
_LOG_HINT = "Read what it says: docker compose logs traefik."
_DASHBOARD = """
  # Mist's own pages: any number of containers, of which one may go at any time.
  dashboard:
    address: ":{port}"
    http:
      aliasHeadersStrategy: delete
    transport:
      respondingTimeouts:
        readTimeout: 0s
        idleTimeout: 180s
"""


class ContainerTraefik(Traefik):
    """Implements `proxy.Proxy`. What only Traefik's own network shows (who is connected, whether a
    port answers) is asked inside its container."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._issuing = IssuingFiles(self._home, ca_file=config.acme_ca_file, apart=True)
        self._api = TraefikApi(
            self._host, config.proxy_api_port, log_hint=_LOG_HINT, silent=_SILENT
        )

    @property
    def _client(self) -> docker.DockerClient:
        return connect(self._config.docker_host)

    def running(self) -> bool:
        """Whether it runs and reaches the containers of every project."""
        try:
            with guard():
                proxy = find_proxy(self._client, self._config)
                if proxy is None or proxy.status != "running":
                    return False
                return not any(missing_networks(self._client, self._config, proxy))
        except (EngineError, APIError):
            return False

    def prepare(self, issuing: Issuing | None = None) -> None:
        with guard(), self._lock():
            self._keep(issuing)
            proxy = find_proxy(self._client, self._config)
            if proxy is None:
                return
            # Compose has made it by now, and starts it when this is done: what it finds then it
            # has to reach, or visitors wait for an answer that cannot come.
            join_all(self._client, self._config, proxy)
            if proxy.status == "running" and self._was_told_since(proxy):
                # Nobody waits for it: pages that say what is wrong with it are started next.
                proxy.restart(timeout=FINISH_SECONDS)

    def ensure_running(self, issuing: Issuing | None = None) -> None:
        """Let Traefik into the networks that it is not in, and restart it where it has to know
        something else. Starting it is compose's: raises `ProxyUnavailable` when it does not run,
        or does not come up again."""
        with guard(), self._lock():
            if issuing is not None:
                # Also for one that is down, perhaps because of what it was told before.
                self._keep(issuing)
            proxy = self._proxy()
            join_all(self._client, self._config, proxy)
            if issuing is not None and self._was_told_since(proxy):
                self._restart(proxy)

    def forget_certificates(self, issuing: Issuing, doomed: Collection[tuple[str, ...]]) -> None:
        with guard(), self._lock():
            proxy = self._proxy()
            self._keep(issuing)
            self._issuing.forget(issuing.directory, doomed)
            self._restart(proxy)

    def state(self) -> ProxyState:
        found = super().state()
        with guard():
            was_told = self._was_told_since(self._proxy())
        return dataclasses.replace(found, is_current=found.is_current and not was_told)

    def _lock(self) -> AbstractContextManager[None]:
        return file_lock(self._config.data_dir / "locks" / "proxy")

    def _keep(self, issuing: Issuing | None) -> None:
        """Write what it reads when it starts."""
        self._issuing.keep(issuing)
        if issuing is not None:
            self._issuing.prepare_storage(issuing.directory)
        self._issuing.write_environment()
        self._write_static()

    def _was_told_since(self, proxy: Container) -> bool:
        """Whether it was started before the last change of what it reads then. The files say so,
        and not whoever changed them, who may have been killed right after."""
        static = self._home / "traefik.yml"
        issuing = self._issuing
        told = max(
            issuing.environment_written_at, issuing.told_to_forget_at, static.stat().st_mtime
        )
        return dt.datetime.fromisoformat(proxy.attrs["State"]["StartedAt"]).timestamp() < told

    def _restart(self, proxy: Container) -> None:
        """Return once it answers. Raises `ProxyUnavailable`."""
        proxy.restart(timeout=FINISH_SECONDS)
        self._issuing.note_start()
        until = time.monotonic() + UP_SECONDS
        while not self._api.answers():
            if time.monotonic() >= until:
                said = proxy.logs(tail=5).decode(errors="replace").strip()
                raise ProxyUnavailable(
                    "Traefik does not come up again.", hint=_LOG_HINT, detail=said
                )
            time.sleep(POLL_SECONDS)

    def refused_certificates(self, since: dt.datetime) -> Sequence[Refusal]:
        with guard():
            said = self._proxy().logs(since=int(since.timestamp()), tail=LOG_LINES)
        return refusals(said.decode(errors="replace").splitlines(), since=since)

    def await_end(self, seconds: float) -> None:
        time.sleep(seconds)

    def stop(self) -> None:
        with guard():
            self._proxy().stop()

    def connect(
        self, *, address: str, port: int, timeout: float = 5.0, deadline: Deadline | None = None
    ) -> str:
        until = time.monotonic() + timeout
        while True:
            # A second at a time: whoever cancels is heard in between.
            code, said = self._ask("nc", "-w", "1", address, str(port), "-e", "true")
            if code == 0:
                return ""
            if deadline is not None:
                deadline.check()
            if "refused" in said or time.monotonic() >= until:
                return no_connection(refused="refused" in said, timeout=timeout)

    def _is_connected(self, address: str, port: int) -> bool:
        try:
            code, table = self._ask("cat", "/proc/net/tcp")
        except EngineError as error:
            logger.warning("Open requests cannot be seen: %s", error.sentence)
            return True
        # Where it cannot be seen who is connected, the old version gets all of its time.
        return code != 0 or is_connected(address, port, table)

    def _proxy(self) -> Container:
        found = find_proxy(self._client, self._config)
        if found is None or found.status != "running":
            raise ProxyUnavailable(
                "Traefik's container does not run.", hint="Start it: docker compose up --detach."
            )
        return found

    def _ask(self, *argv: str) -> tuple[int, str]:
        """Run a program inside Traefik's container; its exit code and what it printed."""
        with guard():
            try:
                done = self._proxy().exec_run(list(argv))
            except APIError as error:
                raise ProxyUnavailable(
                    "Traefik's container cannot be asked.", detail=str(error.explanation)
                ) from error
        output = done.output if isinstance(done.output, bytes) else b""
        return int(done.exit_code or 0), output.decode(errors="replace")

    def _placeholders(self) -> dict[str, object]:
        folder = self._config.data_dir
        mine = super()._placeholders()
        return mine | {
            "constraints": f"{mine['constraints']} || Label(`{DASHBOARD_LABEL}`, `{folder}`)",
            "more_entry_points": _DASHBOARD.format(port=self._config.dashboard_port),
        }
