"""Build logs as they grow: one reader of the file for every process, however many pages look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async

from apps.deployments.events import log_group
from apps.deployments.logs import frame, log_path, read_chunk, read_place, settle_place
from apps.live.hub import Hub, Pace, Piece, Stream, Viewer
from apps.live.nudges import heard_by
from apps.live.pages import Send

Place = tuple[int, int]
"""Byte of the file and lines before it."""

FRAME_LINES = 1_000
FRAME_BYTES = 64 * 1024
LOOK_SECONDS = 2.0
"""A nudge that got lost costs so long."""

hub: Hub[Place] = Hub()


class BuildLogSource:
    """One build log, read on when a nudge says that it has grown."""

    def __init__(self, deployment_id: int) -> None:
        self._path = log_path(deployment_id)
        self._group = log_group(deployment_id)
        self._grown = asyncio.Event()

    async def run(self, stream: Stream[Place]) -> None:
        pace = Pace()
        async with heard_by(self._grown, group=self._group):
            while True:
                await stream.wanted.wait()
                self._grown.clear()
                await pace.wait()
                if (piece := await self._read(stream.end, None)) is None:
                    await self._sleep()
                elif stream.end == piece.begin:
                    pace.spent(await stream.publish(piece.text, piece.end))

    async def read(self, place: Place, end: Place) -> Piece[Place] | None:
        return await self._read(place, end[0])

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._grown.wait(), LOOK_SECONDS)
        except TimeoutError:
            pass

    async def _read(self, place: Place, until: int | None) -> Piece[Place] | None:
        return await sync_to_async(self._piece, thread_sensitive=False)(place, until)

    def _piece(self, place: Place, until: int | None) -> Piece[Place] | None:
        chunk = read_chunk(
            self._path,
            offset=place[0],
            number=place[1],
            most=FRAME_LINES,
            until=until,
            size=FRAME_BYTES,
        )
        if not chunk.lines:
            return None
        text = json.dumps({"log": frame(chunk)}, ensure_ascii=False)
        return Piece(text, begin=place, end=(chunk.offset, chunk.number))


class BuildLogFeed:
    """The build log for one open page, from the byte that the page has on."""

    def __init__(self, deployment_id: int, query: Mapping[str, str], send: Send) -> None:
        self._id = deployment_id
        self._offset, _ = read_place(query)
        self._is_wanted = "offset" in query
        self._send = send
        self._viewer: Viewer[Place] | None = None

    async def open(self) -> None:
        if not self._is_wanted:
            return  # A page that shows the log of what is over reads it by itself.
        settle = sync_to_async(settle_place, thread_sensitive=False)
        place = await settle(log_path(self._id), self._offset)
        self._viewer = hub.join(
            self._id, place=place, send=self._send, source=lambda: BuildLogSource(self._id)
        )
        self._viewer.start()

    async def heard(self, message: Mapping[str, Any]) -> None:
        if self._viewer is not None:
            self._viewer.taken(message.get("taken"))

    async def close(self) -> None:
        if self._viewer is not None:
            self._viewer.close()
            self._viewer = None
