"""What Traefik itself says over its API, and waiting until it says something."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from apps.engine.deadline import Deadline
from apps.engine.errors import ProxyUnavailable, SwitchFailed, TimedOut
from apps.engine.listeners import TO_NEWEST
from apps.engine.routes import closed_service

RESTART_SECONDS = 5.0
POLL_SECONDS = 0.03
ASK_SECONDS = 5.0
SILENT = "Run ./mist up, or ./mist doctor to see why."


class TraefikApi:
    """The API of one Traefik. Methods raise `ProxyUnavailable`, with the hint `silent`, when it
    does not answer."""

    def __init__(self, host: str, port: int, *, log_hint: str, silent: str = SILENT) -> None:
        self._host = host
        self._port = port
        self._log_hint = log_hint
        """Where to read why it does not do what it should."""
        self._silent = silent

    # ------------------------------------------------------------------------------------ asking

    def get(self, path: str, *, newest: bool = False) -> dict[str, Any] | None:
        """One object, None for 404. While one Traefik takes the place of another it is the `newest`
        that is asked, or the one that serves."""
        connection = http.client.HTTPConnection(
            self._host,
            self._port,
            timeout=ASK_SECONDS,
            source_address=(TO_NEWEST, 0) if newest else None,
        )
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status == 404:
                return None
            found = json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProxyUnavailable("Traefik does not answer.", hint=self._silent) from error
        finally:
            connection.close()
        return found if isinstance(found, dict) else None

    def answers(self) -> bool:
        try:
            return self.get("/api/version") is not None
        except ProxyUnavailable:
            return False

    def version(self) -> str:
        return str((self.get("/api/version") or {}).get("Version", ""))

    def routers(self, *, newest: bool = False) -> dict[str, Any]:
        """Name with provider → what it says of that router."""
        return (self.get("/api/rawdata", newest=newest) or {}).get("routers") or {}

    def router(self, name: str) -> dict[str, Any]:
        """One of the file provider, empty for one that is not there."""
        return self._router(name) or {}

    def _router(self, name: str) -> dict[str, Any] | None:
        return self.get(f"/api/http/routers/{name}@file")

    def _servers(self, service: str) -> set[str]:
        balancer = (self.get(f"/api/http/services/{service}") or {}).get("loadBalancer", {})
        return {str(one.get("url")) for one in balancer.get("servers") or ()}

    def _leads(self, router: str, service: str) -> bool:
        found = self.router(router)
        return found.get("status") == "enabled" and found.get("service") == service

    # ----------------------------------------------------------------------------------- waiting

    def wait_for_route(self, router: str, service: str, servers: int, deadline: Deadline) -> None:
        """See `proxy.Proxy`, as for the others below."""

        def is_so() -> bool:
            leads = self._leads(router, f"{service}@docker")
            return leads and len(self._servers(f"{service}@docker")) >= servers

        self._wait_until(is_so, "take up the new route", deadline)

    def wait_for_servers(
        self, router: str, service: str, servers: Collection[str], deadline: Deadline
    ) -> None:
        def is_so() -> bool:
            return self._leads(router, service) and self._servers(f"{service}@file") == set(servers)

        self._wait_until(is_so, "take up the app's containers", deadline)

    def wait_until_closed(self, router: str, deadline: Deadline) -> None:
        def is_so() -> bool:
            return self.router(router).get("service") == closed_service(router)

        self._wait_until(is_so, "close the route", deadline)

    def _wait_until(self, is_so: Callable[[], bool], what: str, deadline: Deadline) -> None:
        """A Traefik that is just being started again is waited for."""
        restart = Deadline(RESTART_SECONDS)
        while True:
            try:
                if is_so():
                    return
            except ProxyUnavailable:
                if restart.remaining() <= 0:
                    raise
            try:
                deadline.check()
            except TimedOut as error:
                raise SwitchFailed(
                    f"Traefik did not {what} in time.", hint=f"{self._log_hint} Deploy again."
                ) from error
            time.sleep(POLL_SECONDS)

    def wait_until_gone(self, router: str, deadline: Deadline) -> None:
        while self._router(router) is not None:
            deadline.check()
            time.sleep(POLL_SECONDS)

    def wait_until_taken_up(self, file: Mapping[str, Any], deadline: Deadline) -> None:
        """Return once every router of the dynamic file has the file's rule."""
        for name, router in file.get("http", {}).get("routers", {}).items():
            while self.router(name).get("rule") != router["rule"]:
                deadline.check()
                time.sleep(POLL_SECONDS)
