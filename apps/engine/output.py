"""What a container writes, read from the engine with its times and the two streams told apart.

The SDK's own `logs` throws away which stream a line came from, and takes two reads for each line.
Here the engine's answer is read from its socket in blocks and taken apart: chunks of HTTP outside,
frames of `stream, 0, 0, 0, length` (8 bytes) and a line inside.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import threading
from collections.abc import Iterator
from typing import Any

import docker
import requests
from urllib3.exceptions import HTTPError

from apps.engine.data import OutputLine
from apps.engine.errors import EngineUnavailable

BLOCK = 128 * 1024
FRAME_MAX = 1024 * 1024
STREAMS = {1: "out", 2: "err"}


class DockerOutput:
    """Implements `base.Output`. The client is its own: only closing its socket ends a read."""

    def __init__(
        self,
        client: docker.DockerClient,
        container_id: str,
        *,
        since: str,
        tail: int | None,
        follow: bool,
    ) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._closed = False
        self._reader: Any = None
        params: dict[str, str] = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        params["follow"] = "1" if follow else "0"
        params["tail"] = "all" if tail is None else str(tail)
        if since:
            params["since"] = unix_seconds(since)
        api = client.api
        url = f"{api.base_url}/v{api.api_version}/containers/{container_id}/logs"
        try:
            answer = api.get(url, params=params, stream=True, timeout=(60, None))
            if answer.status_code == 404:
                self.close()
                return
            if answer.status_code != 200:
                raise EngineUnavailable(
                    "The Docker engine does not give the container's output.",
                    detail=answer.text[:500],
                )
        except BaseException:
            self.close()
            raise
        self._answer = answer  # Keeps its socket open.
        raw: Any = answer.raw
        self._reader = raw._fp.fp
        self._chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        if not self._chunked and answer.headers.get("Content-Length") == "0":
            self._reader = None  # The connection stays open, there is no end to wait for.

    def __iter__(self) -> Iterator[list[OutputLine]]:
        if self._reader is None:
            return
        chunks, frames = _Chunks(), _Frames()
        with contextlib.suppress(OSError, ValueError, HTTPError, requests.RequestException):
            while block := self._reader.read1(BLOCK):
                lines = frames.feed(chunks.feed(block) if self._chunked else block)
                if lines:
                    yield lines
                if chunks.over:
                    return

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(OSError, AttributeError):  # No answer yet, or none any more.
            self._reader.raw._sock.shutdown(socket.SHUT_RDWR)
        self._client.close()


class _Chunks:
    """Takes HTTP's chunks apart: hexadecimal length, newline, data, newline."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        """Bytes of the current chunk that have not come, its newline included."""
        self.over = False
        """The last chunk has come. The connection stays open then, so nothing else tells."""

    def feed(self, block: bytes) -> bytes:
        data, at, found = self._rest + block, 0, list[bytes]()
        self._rest = b""
        while at < len(data):
            if self._left == 0:
                end = data.find(b"\r\n", at)
                if end < 0:
                    self._rest = data[at:]
                    break
                size = int(data[at:end].partition(b";")[0], 16)
                self.over = self.over or size == 0
                self._left = size + 2
                at = end + 2
            # The last two bytes of a chunk are its newline.
            take = min(self._left, len(data) - at)
            text = max(0, min(take, self._left - 2))
            found.append(data[at : at + text])
            at += take
            self._left -= take
        return b"".join(found)


class _Frames:
    """Takes the engine's frames apart. One frame is one line, or a piece of a very long one."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, block: bytes) -> list[OutputLine]:
        data, at, lines = self._rest + block, 0, list[OutputLine]()
        while at + 8 <= len(data):
            size = int.from_bytes(data[at + 4 : at + 8])
            if size > FRAME_MAX:
                raise ValueError("This is no output of a container.")
            end = at + 8 + size
            if end > len(data):
                break
            stamp, _, text = data[at + 8 : end].partition(b" ")
            stream = STREAMS.get(data[at], "out")
            lines.append(
                OutputLine(
                    stamp.decode("ascii", "replace"),
                    stream,
                    text.rstrip(b"\r\n").decode(errors="replace"),
                )
            )
            at = end
        self._rest = data[at:]
        return lines


def unix_seconds(stamp: str) -> str:
    """A stamp as the engine wants it in a question: seconds since 1970 with nine digits."""
    whole = dt.datetime.fromisoformat(stamp[:19] + "+00:00")
    digits = stamp[20:].rstrip("Z").ljust(9, "0")[:9]
    return f"{int(whole.timestamp())}.{digits if digits.isdecimal() else '000000000'}"
