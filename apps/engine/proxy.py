"""What Mist asks of the proxy, as `base` has it of Git and of containers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from apps.engine.acme import Issuing
from apps.engine.acme_outcomes import Issued, Refusal
from apps.engine.certificates import KeyPair
from apps.engine.data import ProbeResult
from apps.engine.deadline import Deadline
from apps.engine.handshake import Seen
from apps.engine.host import Check
from apps.engine.proxy_state import ProxyState


class Proxy(Protocol):
    """Traefik. Methods raise `ProxyUnavailable` when it does not answer."""

    def running(self) -> bool: ...

    def version(self) -> str:
        """Of the running Traefik."""
        ...

    def state(self) -> ProxyState:
        """What it says that it does now, and the files that say what it should."""
        ...

    def entry_points(self) -> Mapping[str, str]:
        """Each entry point, by a name for people with its port, and why it does not answer from
        here; empty where it does."""
        ...

    def prepare(self, issuing: Issuing | None = None) -> None:
        """Write what the proxy reads when it starts."""
        ...

    def ensure_running(self, issuing: Issuing | None = None) -> None:
        """Start the detached proxy unless one of this instance runs already, with what it should
        know of certificates; None for what it was told last. One that was told something else is
        restarted."""
        ...

    def await_end(self, seconds: float) -> None:
        """Return when the proxy has ended, at the latest after so many seconds. Whoever waits can
        start it again without a visitor being refused meanwhile, where the machine allows it."""
        ...

    def stop(self) -> None: ...

    def probe(
        self, *, host: str, path: str, timeout: float = 5.0, deadline: Deadline | None = None
    ) -> ProbeResult:
        """One GET through the internal probe entry point with that Host. An answer that Traefik
        itself gives because nothing is behind it (404 for no such router, 502, 503, 504) has
        status None. While nothing is answered the deadline is asked, and ends it."""
        ...

    def connect(
        self, *, address: str, port: int, timeout: float = 5.0, deadline: Deadline | None = None
    ) -> str:
        """Open a TCP connection to a container from where the proxy reaches it, and close it.
        Returns why there is none, in words: empty when it was accepted. Raises what the deadline
        raises."""
        ...

    def write_routes(self, app: str, routes: Mapping[str, Any]) -> None:
        """Put the app's dynamic configuration in place atomically (temp file, fsync, rename).
        What is there stays whole when that fails: raises `OutOfDisk`."""
        ...

    def write_dashboard(self, routes: Mapping[str, Any]) -> None:
        """The same for Mist's own pages; empty routes take the file away."""
        ...

    def read_routes(self, app: str) -> Mapping[str, Any] | None: ...

    def remove_routes(self, app: str) -> None: ...

    def drifted(self, wanted: Mapping[str, Mapping[str, Any]]) -> Collection[str]:
        """Those of these apps whose files are not as `write_routes` would have them, or which have
        one while it is an empty one that is wanted. Changes nothing."""
        ...

    def routed_apps(self) -> Sequence[str]:
        """Every app that has a route file."""
        ...

    def write_certificates(self, pairs: Collection[KeyPair]) -> bool:
        """Have exactly these served, each for its own names, within a second and without a request
        lost; whether that is new. Raises `OutOfDisk`."""
        ...

    def look_at_certificate(self, host: str, *, root: str = "") -> Seen | None:
        """What visitors of `host` get as a certificate; None while there is none. `root` is that of
        this Mist's own authority, as PEM."""
        ...

    def write_extra(self, name: str, configuration: Mapping[str, Any]) -> None:
        """As `write_routes`, of Mist's own; an empty one is taken away."""
        ...

    def issued_certificates(self, directory: str) -> Sequence[Issued] | None:
        """Certificates that the proxy has from the issuer at that address; None while that cannot
        be said."""
        ...

    def forget_certificates(self, issuing: Issuing, doomed: Collection[tuple[str, ...]]) -> None:
        """Have those of that issuer's certificates that are for exactly these names neither served
        nor renewed any more. A proxy that runs is restarted as by `ensure_running`."""
        ...

    def refused_certificates(self, since: dt.datetime) -> Sequence[Refusal]:
        """Certificates that the proxy asked for in vain since then, to the second, as far back as
        it remembers: oldest first."""
        ...

    def check_certificates(self) -> Check:
        """Whether the proxy can use what it keeps of certificates."""
        ...

    def wait_for_route(
        self, *, router: str, service: str, deadline: Deadline, servers: int = 1
    ) -> None:
        """Return once Traefik's API shows that `router` (of the file provider) is enabled and
        points at `service`, and that the service has so many servers. Raises `SwitchFailed`."""
        ...

    def wait_for_servers(
        self, *, router: str, service: str, servers: Collection[str], deadline: Deadline
    ) -> None:
        """Return once Traefik's API shows that `router` points at `service`, both of the file
        provider, and that the service has exactly these servers (URLs). Raises `SwitchFailed`."""
        ...

    def wait_until_closed(self, *, router: str, deadline: Deadline) -> None:
        """Return once Traefik's API shows that `router` leads to `routes.closed_service`. Raises
        `SwitchFailed`."""
        ...

    def wait_until_gone(self, *, router: str, deadline: Deadline) -> None: ...

    def wait_until_taken_up(self, app: str, *, deadline: Deadline) -> None:
        """Return once the proxy has every router of the app's file, as the file has it. Raises
        `ProxyUnavailable` and what the deadline raises."""
        ...

    def drain(self, *, address: str, port: int, patience: float) -> bool:
        """Return once no request is in progress at a container that gets no new ones, at the
        latest after `patience` seconds. False when some still were."""
        ...
