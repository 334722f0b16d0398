"""Visitors who come by HTTPS to a proxy on this machine."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.machine.beside import beside


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: str
    fingerprint: str
    """SHA-256 of the certificate."""
    protocol: str


def trusting(root: str) -> ssl.SSLContext:
    """A client that trusts this root alone."""
    return ssl.create_default_context(cadata=root)


def ask(port: int, host: str, context: ssl.SSLContext, path: str = "/") -> Answer:
    """GET by a new connection. Raises `ssl.SSLError`, `OSError`."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        secure.sendall(request.encode())
        text = b""
        while part := secure.recv(65536):
            text += part
        der = secure.getpeercert(binary_form=True) or b""
        protocol = secure.version() or ""
    head, _, body = text.decode(errors="replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    fingerprint = hashlib.sha256(der).hexdigest()
    return Answer(int(first.split()[1]), headers, body, fingerprint, protocol)


@dataclass
class Seen:
    """What a steady visitor saw."""

    answers: int = 0
    fingerprints: list[str] = field(default_factory=list)
    """Different ones, in the order of their appearance."""
    failures: list[str] = field(default_factory=list)


@contextmanager
def steady_visitor(
    port: int, host: str, context: ssl.SSLContext, *, most: int = 5_000
) -> Iterator[Seen]:
    """Somebody who comes anew again and again, for a bounded number of times."""
    seen = Seen()

    def visit(over: threading.Event) -> None:
        while not over.is_set() and seen.answers < most:
            try:
                answer = ask(port, host, context)
            except OSError as error:
                seen.failures.append(repr(error))
                continue
            if answer.status == 200:
                seen.answers += 1
            else:
                seen.failures.append(f"HTTP {answer.status}")
            if answer.fingerprint not in seen.fingerprints:
                seen.fingerprints.append(answer.fingerprint)
            time.sleep(0.005)

    with beside(visit):
        yield seen
