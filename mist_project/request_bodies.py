"""Bodies of requests that may be larger than memory, as files."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from apps.engine.kept_push import HEADROOM, body_file
from apps.sources.git_gate import Refused
from apps.sources.pushing import push_limit

Receive = Callable[[], Awaitable[dict[str, Any]]]
BODY = "mist.body"
"""The extension of a request whose body the web server has put into a file (`LargeBody`)."""


class LargeBody:
    """A request's body as a file; that of a push begins at `HEADROOM`."""

    def __init__(self, file: IO[bytes], *, complete: bool = True, most: int = 0) -> None:
        self.file = file
        self.most = most
        """Bytes that it may have."""
        self.complete = complete
        """False where it was larger than it may be, and the rest of it is gone."""


def incoming() -> Path:
    """Where bodies lie while they come: in the data directory, for /tmp may be memory."""
    return Path(settings.MIST_DATA_DIR) / "incoming"


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `Refused` when the client went away meanwhile."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The request has no end.")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def spooled(receive: Receive) -> LargeBody:
    """A small body, from a web server that hands it over piece by piece."""
    body, left = LargeBody(body_file(incoming())), push_limit()
    async for piece in pieces(receive):
        body.file.write(piece[: left + 1])
        left = max(-1, left - len(piece))
    body.complete = left >= 0
    return body


def unzipped(packed: LargeBody) -> LargeBody:
    """Raises `Refused` for what is not packed as it says."""
    body, left = LargeBody(body_file(incoming()), complete=packed.complete), push_limit()
    packed.file.seek(HEADROOM)
    try:
        with gzip.GzipFile(fileobj=packed.file) as stream:
            while left >= 0 and (block := stream.read(65_536)):
                body.file.write(block)
                left -= len(block)
    except (OSError, EOFError, zlib.error) as error:
        if packed.complete:
            raise Refused(400, "The request is not packed as it says.") from error
    body.complete = body.complete and left >= 0
    return body


async def hung_up(receive: Receive, gone: threading.Event | None = None) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if gone is not None:
        gone.set()
