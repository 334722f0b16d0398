"""One request of the engine's API that can be ended at any moment, also before its first answer.

The SDK shows a connection only once the engine has answered, and while a registry is silent the
engine is too. What the engine does for a request ends when its connection is closed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from apps.engine.client import SOCKET, api_version, unavailable
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineAway
from apps.engine.streams import until


class Refusal(Exception):
    """The engine answered with an error, or did not answer to the end."""

    def __init__(self, status: int, message: str) -> None:
        """`status` is nought when the connection was lost."""
        super().__init__(message)
        self.status = status
        self.message = message


def ask(
    docker_host: str,
    method: str,
    path: str,
    *,
    deadline: Deadline,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """The answer, object by object as they come. Ends the request when the deadline says so.

    Raises `Refusal`, `EngineUnavailable` and what the deadline raises.
    """
    call = _Call(docker_host, method, path, query or {}, headers or {}, body)
    for item in until(call.items(), call.close, deadline):
        if isinstance(item, Refusal):
            if item.status == 0:
                raise unavailable(item.message)
            raise item
        yield item
    # A time that is up ends the iteration without a word.
    deadline.check()
    if not call.is_whole:
        raise EngineAway("The Docker engine went away.", hint="Run ./mist doctor to see why.")


class _Call:
    def __init__(
        self,
        docker_host: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> None:
        self._url = docker_host or SOCKET
        version = api_version(self._url)
        self._where = f"/v{version}{path}" + (f"?{urlencode(query)}" if query else "")
        self._method = method
        self._headers = dict(headers)
        self._body = None if body is None else json.dumps(body).encode()
        if body is not None:
            self._headers["Content-Type"] = "application/json"
        self._connection = _connection(self._url)
        self._socket: socket.socket | None = None
        self._closed = False
        self.is_whole = False

    def items(self) -> Iterator[dict[str, Any] | Refusal]:
        """Runs in a thread of its own: what goes wrong is handed on as an item."""
        try:
            self._connection.connect()
            self._socket = self._connection.sock
            if not self._closed:
                yield from self._answer()
                self.is_whole = True
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not self._closed:
                yield Refusal(0, f"{type(error).__name__}: {error}")
        finally:
            self._connection.close()

    def _answer(self) -> Iterator[dict[str, Any] | Refusal]:
        self._connection.request(self._method, self._where, self._body, self._headers)
        response = self._connection.getresponse()
        if response.status >= 400:
            yield Refusal(response.status, _message(response.read(65_536)))
            return
        for line in response:
            if line.strip():
                yield json.loads(line)

    def close(self) -> None:
        """From any thread: whoever reads gets no more, and the engine stops."""
        self._closed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        self.sock = made


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme in ("unix", "http+unix"):
        return _UnixConnection(parts.path)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname or "", parts.port or 2376)
    return http.client.HTTPConnection(parts.hostname or "", parts.port or 2375)


def _message(body: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["message"])
    return body.decode(errors="replace")
