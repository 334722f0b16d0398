"""Whether Traefik's entry points answer, asked as a visitor of this machine would."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping

from apps.engine.data import EngineConfig
from apps.engine.proxy_addresses import LOOPBACK

SECONDS = 3.0
NOBODY = "nobody.mist.internal"
"""A host name that no app can have, so that Traefik itself has to answer."""
_OWN_404 = b"404 page not found"


def ask_entry_points(config: EngineConfig) -> Mapping[str, str]:
    """See `base.Proxy.entry_points`."""
    public = config.proxy_host or _reached(config.bind)
    inside = config.proxy_host or LOOPBACK
    return {
        f"HTTP (port {config.http_port})": _ask(public, config.http_port),
        f"HTTPS (port {config.https_port})": _greet(public, config.https_port),
        f"health checks (port {config.probe_port})": _ask(inside, config.probe_port),
    }


def _reached(bind: str) -> str:
    """Where to ask for what listens there."""
    try:
        everywhere = ipaddress.ip_address(bind).is_unspecified
    except ValueError:
        everywhere = False
    return LOOPBACK if everywhere else bind


def _ask(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/", headers={"Host": NOBODY, "Connection": "close"})
        answer = connection.getresponse()
        is_traefik = answer.status == 404 and answer.read(100).strip() == _OWN_404
        return "" if is_traefik else f"something else answers there (HTTP {answer.status})"
    except (OSError, http.client.HTTPException) as error:
        return _why(error)
    finally:
        connection.close()


def _greet(host: str, port: int) -> str:
    """Whose certificate it is does not matter, nor whether there is one for that name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=NOBODY),
        ):
            return ""
    except ssl.SSLError as error:
        refused = "alert" in str(error).lower()
        return "" if refused else "something else answers there, which does not speak TLS"
    except OSError as error:
        return _why(error)


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:.0f} s"
    return f"no answer ({type(error).__name__})"
