"""Traefik as a container that compose starts and stops, beside containers of Mist's own parts."""

from __future__ import annotations

import logging
import time

import docker
from docker.errors import APIError
from docker.models.containers import Container

from apps.engine.client import connect, guard
from apps.engine.data import EngineConfig
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, ProxyUnavailable
from apps.engine.probe import is_connected, no_connection
from apps.engine.proxy_container import find_proxy, join_all, missing_networks
from apps.engine.traefik import Traefik

logger = logging.getLogger("mist.engine")
DASHBOARD_LABEL = "mist.dashboard-of"
"""On the containers of the dashboard, as `PROXY_LABEL` on Traefik's."""
_DASHBOARD = """
  # Mist's own pages: any number of containers, of which one may go at any time.
  dashboard:
    address: ":{port}"
    transport:
      respondingTimeouts:
        readTimeout: 0s
        idleTimeout: 180s
"""


class ContainerTraefik(Traefik):
    """Implements `base.Proxy`. What only Traefik's own network shows (who is connected, whether a
    port answers) is asked inside its container."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._log_hint = "Read what it says: docker compose logs traefik."

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

    def prepare(self) -> None:
        is_new = self._write_static()
        with guard():
            proxy = find_proxy(self._client, self._config)
            if proxy is None:
                return
            # Compose has made it by now, and starts it when this is done: what it finds then it
            # has to reach, or visitors wait for an answer that cannot come.
            join_all(self._client, self._config, proxy)
            if is_new and proxy.status == "running":
                # It reads this file when it starts.
                proxy.restart(timeout=5)

    def ensure_running(self) -> None:
        """Let Traefik into the networks that it is not in. Starting it is compose's: raises
        `ProxyUnavailable` when it does not run."""
        with guard():
            proxy = self._proxy()
            join_all(self._client, self._config, proxy)

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
