"""What goes on between the proxy and a container: one health check, and who is connected."""

from __future__ import annotations

import errno
import http.client
import os
import selectors
import socket
import struct
import time

from apps.engine.data import ProbeResult
from apps.engine.deadline import Deadline
from apps.engine.errors import ProxyUnavailable
from apps.engine.labels import PROBE_HEADER

_OWN_ANSWERS = {
    502: ("Bad Gateway", "nothing listens on the port yet (connection refused)"),
    503: ("no available server", "the container is not known to the proxy yet"),
    504: ("Gateway Timeout", "the connection was not answered in time"),
}
"""What Traefik says in an app's place, by status: its body, and what that means."""
_ESTABLISHED = "01"
ASK_SECONDS = 0.25


def probe(
    where: tuple[str, int],
    *,
    host: str,
    path: str,
    timeout: float,
    deadline: Deadline | None = None,
) -> ProbeResult:
    """GET `path` with that Host through the probe entry point, which is `where` (name or address,
    port); redirects are not followed.

    An answer that Traefik gives in the app's place counts as none: its 404 for an unknown router
    lacks the header that the probe router adds, its 502 to 504 have fixed bodies.
    Raises `ProxyUnavailable` when Traefik itself does not answer, and what the deadline raises.
    """
    began = time.monotonic()
    connection = http.client.HTTPConnection(*where, timeout=timeout)
    try:
        try:
            connection.connect()
        except OSError as error:
            raise ProxyUnavailable(
                "Traefik does not answer on its probe port.",
                hint="Run ./mist up, or ./mist doctor to see why.",
            ) from error
        try:
            headers = {
                "Host": host,
                "User-Agent": "Mist-Health-Check",
                "Connection": "close",
            }
            connection.request("GET", path, headers=headers)
            _wait_for(connection.sock, selectors.EVENT_READ, timeout, deadline)
            response = connection.getresponse()
            body = response.read(256).decode(errors="replace").strip()
        except TimeoutError:
            return ProbeResult(None, _since(began), f"no answer within {timeout:.0f} s")
        except (OSError, http.client.HTTPException) as error:
            return ProbeResult(None, _since(began), f"broken answer ({type(error).__name__})")
    finally:
        connection.close()
    status = response.status
    if response.getheader(PROBE_HEADER) is None:
        return ProbeResult(None, _since(began), _OWN_ANSWERS[503][1])
    text, reason = _OWN_ANSWERS.get(status, ("", ""))
    if text and body == text:
        return ProbeResult(None, _since(began), reason)
    return ProbeResult(status, _since(began), "" if status < 400 else f"HTTP {status}")


def connect(*, address: str, port: int, timeout: float, deadline: Deadline | None = None) -> str:
    """Why no TCP connection to that IPv4 address and port comes about, empty when one does. Raises
    what the deadline raises."""
    with socket.socket() as sock:
        sock.setblocking(False)
        code = sock.connect_ex((address, port))
        if code == errno.EINPROGRESS:
            try:
                _wait_for(sock, selectors.EVENT_WRITE, timeout, deadline)
            except TimeoutError:
                return no_connection(refused=False, timeout=timeout)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code == errno.ECONNREFUSED:
        return no_connection(refused=True, timeout=timeout)
    return f"no connection ({os.strerror(code)})" if code else ""


def _wait_for(sock: socket.socket, event: int, timeout: float, deadline: Deadline | None) -> None:
    """Return with an answer's first bytes, or when a connection has come about or failed. Raises
    `TimeoutError`, and what the deadline raises."""
    until = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        selector.register(sock, event)
        while not selector.select(ASK_SECONDS):
            if deadline is not None:
                deadline.check()
            if time.monotonic() >= until:
                raise TimeoutError


def no_connection(*, refused: bool, timeout: float) -> str:
    """Why there is none, in words."""
    return _OWN_ANSWERS[502][1] if refused else f"no connection within {timeout:.0f} s"


def is_connected(address: str, port: int, table: str) -> bool:
    """Whether there is an open TCP connection to that IPv4 address and port in `table`, the text
    of a `/proc/net/tcp`."""
    # The kernel prints the address as a number of this machine's byte order.
    [number] = struct.unpack("=I", socket.inet_aton(address))
    wanted = f"{number:08X}:{port:04X}"
    rows = (line.split()[2:4] for line in table.splitlines()[1:])
    return [wanted, _ESTABLISHED] in rows


def _since(began: float) -> float:
    return (time.monotonic() - began) * 1000
