"""Ask a Git LFS server for files, through `egress`, with a credential that goes to it alone."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.client
import json
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from apps.engine import egress
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.egress_proxy import has_own_proxy
from apps.engine.errors import CloneFailed
from apps.engine.git_access import Way
from apps.engine.git_errors import ACCESS_PAGE
from apps.engine.repository_place import place_of
from apps.engine.streams import until

_TYPE = "application/vnd.git-lfs+json"
_SECONDS = 20.0
_MAX_ANSWER = 8 * 1024 * 1024
_PIECE = 256 * 1024
_AHEAD = 8
"""Pieces that wait to be written."""


@dataclass(frozen=True)
class Pointer:
    """A file: the SHA-256 and the length of what is in it."""

    oid: str
    size: int


class LfsServer:
    """One server, for one checkout."""

    def __init__(self, url: str, headers: Mapping[str, str], way: Way, deadline: Deadline) -> None:
        self._url = url.rstrip("/")
        self._headers = headers
        self._way = way
        self._deadline = deadline
        self._host = place_of(self._url).host

    def fetch(self, pointers: Sequence[Pointer], store: Path) -> None:
        """Put each file into `store` under its id, whole and checked, or not at all. Raises
        `CloneFailed` and what the deadline raises."""
        wanted = {pointer.oid: pointer for pointer in pointers}
        for entry in self._ask(pointers):
            pointer = wanted.pop(str(entry.get("oid")), None)
            if pointer is not None:
                self._download(pointer, entry, store)
        if wanted:
            raise self._failure(f"has no answer for {len(wanted)} of the files")

    def _ask(self, pointers: Sequence[Pointer]) -> list[dict[str, Any]]:
        body = {
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{"oid": pointer.oid, "size": pointer.size} for pointer in pointers],
            "hash_algo": "sha256",
        }
        headers = {"Accept": _TYPE, "Content-Type": _TYPE, **self._headers}
        request = self._request(f"{self._url}/objects/batch", headers, json.dumps(body).encode())
        text = bytearray()
        for piece in self._answer(request):
            text += piece
            if len(text) > _MAX_ANSWER:
                break
        try:
            objects = json.loads(text)["objects"]
            return [entry for entry in objects if isinstance(entry, dict)]
        except (ValueError, KeyError, TypeError) as error:
            raise self._failure("gives an answer that is none of Git LFS") from error

    def _download(self, pointer: Pointer, entry: dict[str, Any], store: Path) -> None:
        try:
            action = entry["actions"]["download"]
            url, headers = str(action["href"]), dict(action.get("header") or {})
        except (KeyError, TypeError, ValueError) as error:
            said = entry.get("error")
            why = said.get("message") if isinstance(said, dict) else ""
            raise self._failure(f"lacks the file {pointer.oid[:12]}", detail=str(why)) from error
        part = store / f"{pointer.oid}.part"
        try:
            self._write(pointer, self._request(url, headers), part)
            part.rename(store / pointer.oid)
        finally:
            part.unlink(missing_ok=True)

    def _write(self, pointer: Pointer, request: urllib.request.Request, part: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with part.open("wb") as file:
            for piece in self._answer(request):
                size += len(piece)
                if size > pointer.size:
                    break
                digest.update(piece)
                file.write(piece)
        if (size, digest.hexdigest()) != (pointer.size, pointer.oid):
            raise self._failure(f"gives other content than the file {pointer.oid[:12]} has")

    def _request(
        self, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> urllib.request.Request:
        """What carries a login is not sent on where a server redirects to."""
        if not url.startswith(("https://", "http://")):
            raise self._failure("names an address that is none of https://")
        request = urllib.request.Request(url, data=body)  # noqa: S310
        given = {str(name).title(): str(value) for name, value in headers.items()}
        access = self._way.access
        own = place_of(self._way.url)
        if access.password and "Authorization" not in given and place_of(url) == own:
            login = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
            given["Authorization"] = f"Basic {login}"
        for name, value in given.items():
            request.add_unredirected_header(name, value)
        return request

    def _answer(self, request: urllib.request.Request) -> Iterator[bytes]:
        """In pieces, as they come. Raises `CloneFailed` and what the deadline raises."""
        call = _Call(self._way.rules)
        for piece in until(call.pieces(request), call.close, self._deadline, ahead=_AHEAD):
            if isinstance(piece, Exception):
                raise self._explained(piece) from None
            yield piece
        # A time that is up ends the iteration without a word.
        self._deadline.check()

    def _explained(self, error: Exception) -> CloneFailed:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code in {401, 403, 404}:
                return self._failure(
                    "does not give its files to this app, or has none",
                    hint="Check that Git LFS is switched on for the repository, and the app's "
                    f"credential {ACCESS_PAGE}.",
                )
            return self._failure(f"answers with the error {error.code}")
        reason = getattr(error, "reason", error)
        if isinstance(reason, egress.Refused):
            return self._failure("leads to an address that is closed to Mist")
        return self._failure("does not answer", detail=str(reason))

    def _failure(self, what: str, *, hint: str = "", detail: str = "") -> CloneFailed:
        return CloneFailed(
            f"The Git LFS server {self._host} {what}.",
            hint=hint or "Deploy again; if it stays like this, switch Git LFS off for this app.",
            detail=detail,
        )


class _Call:
    """One request, with those that it is redirected to. It can be ended at any moment."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._made: list[socket.socket] = []
        self._closed = False

    def pieces(self, request: urllib.request.Request) -> Iterator[bytes | Exception]:
        """Runs in a thread of its own: what goes wrong is handed on as the last piece."""
        try:
            with _opener(self).open(request, timeout=_SECONDS) as answer:
                while piece := answer.read1(_PIECE):
                    yield piece
                # Else `read1` takes a connection that was lost for the end.
                if answer.length:
                    raise http.client.IncompleteRead(b"", answer.length)
        except (OSError, http.client.HTTPException, ValueError) as error:
            yield error

    def connect(self, host: str, port: int) -> socket.socket:
        made = egress.connect(host, port, self._rules)
        # A second handle: TLS takes the first one for itself.
        self._made.append(made.dup())
        if self._closed:
            self.close()
        return made

    def close(self) -> None:
        """From any thread: whoever waits for an answer gets no more."""
        self._closed = True
        for one in self._made:
            with contextlib.suppress(OSError), one:
                one.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    def __init__(self, *args: Any, call: _Call, **more: Any) -> None:
        super().__init__(*args, **more)
        self.call = call

    def connect(self) -> None:
        self.sock = self.call.connect(self.host, self.port)
        self.sock.settimeout(_SECONDS)


class _SecureConnection(_Connection):
    default_port = 443

    def connect(self) -> None:
        super().connect()
        self.sock = _trust().wrap_socket(self.sock, server_hostname=self.host)


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, call: _Call) -> None:
        super().__init__()
        self.call = call

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Connection, call=self.call), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_SecureConnection, call=self.call), request)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        fp.close()  # Else all of its body would be read, which may have no end.
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener(call: _Call) -> urllib.request.OpenerDirector:
    """For http:// and https:// only. A proxy of the machine's own makes the connections where
    there is one; they end by themselves then, at the next piece or after `_SECONDS`."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ]
    if has_own_proxy():
        handlers += [
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=_trust()),
        ]
    else:
        handlers.append(_Handler(call))
    for handler in handlers:
        opener.add_handler(handler)
    return opener


@functools.cache
def _trust() -> ssl.SSLContext:
    """Whom git trusts, too."""
    context = ssl.create_default_context()
    if more := os.environ.get("GIT_SSL_CAINFO"):
        context.load_verify_locations(cafile=more)
    return context
