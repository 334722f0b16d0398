"""The one way out for git: a SOCKS proxy within this process that connects where `egress` lets it.

Git hands it the name and never resolves it itself (`socks5h`), for the first address as for every
one that a server redirects to. It listens on 127.0.0.1 and opens less than anybody there could
open without it. RFC 1928, without authentication and with CONNECT only.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import socketserver
import struct
import threading

from apps.engine import egress
from apps.engine.egress import Refused, Rules
from apps.engine.once import once

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")
_PIECE = 256 * 1024
_WISH_SECONDS = 10.0
_OPEN_MAX = 64
_DONE, _FAILED, _NOT_ALLOWED, _UNREACHABLE, _NO_COMMAND = 0, 1, 2, 4, 7
"""Replies. `git_errors` knows them by curl's words: what is refused is 2, what has no address 4,
what does not answer 5."""
_NO_ANSWER = 5


class _Handler(socketserver.BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        here: socket.socket = self.request
        here.settimeout(_WISH_SECONDS)
        with contextlib.suppress(OSError), self.server.room:
            where = _read_wish(here)
            if where is None:
                return
            made, reply = _connected(*where, self.server.rules)
            here.sendall(struct.pack("!BBBB4sH", 5, reply, 0, 1, bytes(4), 0))
            if made is not None:
                _carry(here, made)


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, rules: Rules) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rules = rules
        self.room = threading.BoundedSemaphore(_OPEN_MAX)

    def handle_error(self, request: object, client_address: object) -> None:
        """A git that is ended in the middle is no error."""


def _read_exactly(here: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = here.recv(size - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def _read_wish(here: socket.socket) -> tuple[str, int] | None:
    """Host and port that the client wants."""
    version, methods = _read_exactly(here, 2)
    _read_exactly(here, methods)
    if version != 5:
        return None
    here.sendall(b"\x05\x00")
    _, command, _, kind = _read_exactly(here, 4)
    if kind == 3:
        host = _read_exactly(here, _read_exactly(here, 1)[0]).decode("ascii", "replace")
    else:
        host = str(ipaddress.ip_address(_read_exactly(here, 16 if kind == 4 else 4)))
    (port,) = struct.unpack("!H", _read_exactly(here, 2))
    if command != 1:
        here.sendall(struct.pack("!BBBB4sH", 5, _NO_COMMAND, 0, 1, bytes(4), 0))
        return None
    return host, port


def _connected(host: str, port: int, rules: Rules) -> tuple[socket.socket | None, int]:
    try:
        return egress.connect(host.strip("[]"), port, rules), _DONE
    except Refused:
        return None, _NOT_ALLOWED
    except (socket.gaierror, UnicodeError):
        return None, _UNREACHABLE
    except OSError:
        return None, _NO_ANSWER


def _carry(here: socket.socket, there: socket.socket) -> None:
    """Bytes both ways. Git itself gives up on a server that is too slow; once git is gone, so is
    the connection that was made for it."""
    here.settimeout(None)
    back = threading.Thread(target=_copy, args=(there, here, socket.SHUT_WR), daemon=True)
    with there:
        back.start()
        _copy(here, there, socket.SHUT_RDWR)
        back.join()


def _copy(source: socket.socket, target: socket.socket, at_the_end: int) -> None:
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    with contextlib.suppress(OSError):
        while size := source.recv_into(buffer):
            target.sendall(view[:size])
    for one, how in ((target, at_the_end), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            one.shutdown(how)


@once
def _port_of(rules: Rules, process: int) -> int:
    """Where the proxy of these rules listens, in this process; started when it is first needed."""
    proxy = _Proxy(rules)
    threading.Thread(target=proxy.serve_forever, name="egress", daemon=True).start()
    return int(proxy.server_address[1])


def guarded_environment(rules: Rules) -> dict[str, str]:
    """What git is given so that it connects over HTTP only where the rules let it.

    Where the machine has a proxy of its own (`https_proxy` and the like), that makes the
    connections and is the one to refuse.
    """
    if has_own_proxy():
        return {}
    way = f"socks5h://127.0.0.1:{_port_of(rules, os.getpid())}"
    # By variables, which every git heeds. No exceptions from it.
    return dict.fromkeys(_PROXIES, way) | {"NO_PROXY": "", "no_proxy": ""}


def has_own_proxy() -> bool:
    """Whether the machine has a proxy that makes its connections."""
    return any(os.environ.get(name) for name in _PROXIES)
