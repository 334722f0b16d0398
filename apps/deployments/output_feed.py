"""The output of an app's container as it comes: one follower for every process, while somebody
looks, across restarts and redeployments."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from channels.db import database_sync_to_async

from apps.deployments.archive import output_of
from apps.deployments.events import app_group
from apps.deployments.follower import LOOK_SECONDS, Follower, ask_engine
from apps.deployments.masking import masker_of
from apps.deployments.models import Deployment
from apps.deployments.output import (
    START,
    Cursor,
    Entry,
    Resume,
    Ring,
    frame,
    read_cursor,
    read_replica,
)
from apps.deployments.selectors import live_deployment_of
from apps.engine.connect import get_engine
from apps.engine.data import Container, ContainerStatus, OutputLine
from apps.engine.errors import SecretsUnreadable
from apps.engine.masking import Masker
from apps.live.hub import Gone, Hub, Pace, Piece, Stream, Viewer
from apps.live.nudges import heard_by
from apps.live.pages import Send

Place = tuple[int, ...]
"""Number of the next entry, then the cursor behind the last one."""

FRAME_SIZE = 64 * 1024
CATCH_UP_SECONDS = 3.0
hub: Hub[Place] = Hub()


@dataclass(frozen=True)
class Target:
    """The deployment whose container is followed, and which of its containers."""

    deployment: Deployment
    replica: int
    masker: Masker
    """What its lines must not show."""

    @property
    def pk(self) -> int:
        return self.deployment.pk

    @property
    def container_id(self) -> str:
        return self.deployment.container_ids[self.replica - 1]


class OutputSource:
    """What the live container of one app writes, from a cursor on; of several containers the one
    of that number."""

    def __init__(self, app_id: int, begin: Cursor, replica: int = 1) -> None:
        self._app_id = app_id
        self._replica = replica
        self._group = app_group(app_id)
        self._nudged = asyncio.Event()
        self._grown = asyncio.Event()
        self.cursor = begin
        self._ring = Ring(first=1 << 40, before=begin)
        self._pace = Pace()

    # ------------------------------------------------------------------------------ for viewers

    @property
    def place(self) -> Place:
        return (self._ring.end, *self.cursor)

    async def locate(self, cursor: Cursor) -> Place | None:
        """The place of a cursor here, waiting a moment for one that is a little ahead."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while cursor > self.cursor:
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            return None
        if cursor == self.cursor:
            return self.place
        number = self._ring.find(cursor)
        return None if number is None else (number, *cursor)

    async def read(self, place: Place, end: Place) -> Piece[Place] | None:
        if place[0] < self._ring.first:
            raise Gone
        found = self._ring.slice(place[0], end[0], size=FRAME_SIZE)
        if found is None:
            return None
        texts, number, cursor = found
        return Piece(frame(texts, cursor), begin=place, end=(number, *cursor))

    # ---------------------------------------------------------------------------------- running

    async def run(self, stream: Stream[Place]) -> None:
        async with heard_by(self._nudged, group=self._group):
            while True:
                self._nudged.clear()
                target = await self._find()
                if target is None:
                    await self._sleep()
                    continue
                if target.pk != self.cursor.deployment:
                    await self._take_over(stream, target)
                await self._follow(stream, target)

    async def _sleep(self, seconds: float = LOOK_SECONDS) -> None:
        try:
            await asyncio.wait_for(self._nudged.wait(), seconds)
        except TimeoutError:
            pass

    async def _find(self) -> Target | None:
        return await database_sync_to_async(self._target)()

    def _target(self) -> Target | None:
        found = live_deployment_of(self._app_id)
        if found is None or len(found.container_ids) < self._replica:
            return None
        try:
            return Target(found, self._replica, masker_of(found))
        except SecretsUnreadable:
            return None  # What cannot be hidden is not shown.

    async def _take_over(self, stream: Stream[Place], target: Target) -> None:
        """Whatever the former container wrote until now, then a rule."""
        former = await database_sync_to_async(self._former)()
        if former is not None:
            resume = Resume(self.cursor)
            rest = await ask_engine(lambda: resume.feed(self._rest(*former, resume)))
            await self._publish(stream, rest)
        text = f"Deployment #{target.deployment.number} took over" if self.cursor != START else ""
        self.cursor = Cursor(target.pk, 0, 0, 0)
        if text:
            await self._rule(stream, text)

    def _rest(self, former: Deployment, masker: Masker, resume: Resume) -> Iterator[OutputLine]:
        return output_of(former, since=resume.since, replica=self._replica, masker=masker)

    def _former(self) -> tuple[Deployment, Masker] | None:
        rows = Deployment.objects.filter(app=self._app_id, pk=self.cursor.deployment)
        found = rows.select_related("app__project").first()
        return None if found is None else (found, masker_of(found))

    async def _follow(self, stream: Stream[Place], target: Target) -> None:
        """The container's output until it ends or another deployment is live."""
        resume, is_first = Resume(self.cursor), self._ring.end == self._ring.first
        before = await ask_engine(lambda: get_engine().containers.inspect(target.container_id))
        follower = Follower(target.container_id, since=resume.since, masker=target.masker)
        await ask_engine(follower.start)
        try:
            while not follower.is_over:
                await follower.wait(self._nudged)
                if self._nudged.is_set():
                    self._nudged.clear()
                    now = await self._find()
                    if now is None or now.pk != target.pk or now.masker is not target.masker:
                        return
                await self._pace.wait()
                fresh = resume.feed(follower.take())
                if is_first and fresh:
                    self._ring.put_before(resume.known)
                    is_first = False
                if not is_first:
                    resume.known.clear()
                await self._publish(stream, fresh)
        finally:
            follower.close()
        if before is not None:
            await self._ended(stream, target, before)

    async def _ended(self, stream: Stream[Place], target: Target, before: Container) -> None:
        """The container has ended: say so, and wait until it runs again or another one is live."""
        code, said = "", False
        for turn in range(1 << 30):
            now = await ask_engine(lambda: get_engine().containers.inspect(target.container_id))
            if now is None:
                await self._sleep()
                return
            if now.exit_code is not None:
                code = f", exit code {now.exit_code}"
            if now.status is ContainerStatus.RUNNING:
                if now.started_at != before.started_at:
                    await self._rule(stream, "Started again" if said else f"Restarted{code}")
                return
            if turn and not said and now.status is not ContainerStatus.RESTARTING:
                await self._rule(stream, f"Ended{code}")
                said = True
            self._nudged.clear()
            await self._sleep(0.2 if turn < 10 else LOOK_SECONDS)
            found = await self._find()
            if found is None or found.pk != target.pk:
                return

    async def _publish(self, stream: Stream[Place], entries: list[Entry]) -> None:
        for at in range(0, len(entries), 500):
            some = entries[at : at + 500]
            texts = self._ring.add(some)
            self.cursor = some[-1].cursor
            self._pace.spent(await stream.publish(frame(texts, self.cursor), self.place))
            self._grown.set()
            if not stream.wanted.is_set():
                # Nobody keeps up: no hurry to push out of the ring what they come back for.
                await asyncio.sleep(0.1)

    async def _rule(self, stream: Stream[Place], text: str) -> None:
        after = self.cursor._replace(rules=self.cursor.rules + 1)
        await self._publish(stream, [Entry(after, "rule", text)])


class OutputFeed:
    """The output of an app for one open page, from the cursor that the page has on."""

    def __init__(self, app_id: int, query: Mapping[str, str], send: Send) -> None:
        self._app_id = app_id
        self._cursor = read_cursor(query.get("at", ""))
        self._replica = read_replica(query.get("container", ""))
        self._is_wanted = "at" in query
        self._send = send
        self._viewer: Viewer[Place] | None = None
        self._joining: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self._is_wanted:  # not by a page that shows a time that is over
            self._joining = asyncio.create_task(self._join())

    async def _join(self) -> None:
        stream, place = await self._stream(self._cursor)
        self._viewer = Viewer(stream, place, self._send, gone=self._lost)
        self._viewer.start()

    async def _stream(self, cursor: Cursor) -> tuple[Stream[Place], Place]:
        """The shared stream where it still has the cursor's place, else one of its own."""
        key: Any = (self._app_id, self._replica)
        shared = hub.find(key)
        source = OutputSource(self._app_id, cursor, self._replica)
        if shared is None:
            pass
        elif (place := await _source(shared).locate(cursor)) is not None:
            if hub.find(key) is shared:
                return shared, place
            return await self._stream(cursor)
        else:
            key = (*key, cursor)
        stream = hub.stream(key, place=source.place, source=lambda: source)
        place = await _source(stream).locate(cursor)
        return stream, place or stream.end

    def _lost(self) -> None:
        """The page was behind for so long that the stream has nothing of its place any more."""
        self._joining = asyncio.create_task(self._move())

    async def _move(self) -> None:
        viewer = self._viewer
        if viewer is not None:
            source = OutputSource(self._app_id, Cursor(*viewer.place[1:]), self._replica)
            key = (self._app_id, self._replica, viewer.place[1:], id(source))
            viewer.move(hub.stream(key, place=source.place, source=lambda: source), source.place)

    async def heard(self, message: Mapping[str, Any]) -> None:
        if self._viewer is not None:
            self._viewer.taken(message.get("taken"))

    async def close(self) -> None:
        if self._joining is not None:
            self._joining.cancel()
        if self._viewer is not None:
            self._viewer.close()
            self._viewer = None


def _source(stream: Stream[Place]) -> OutputSource:
    source = stream.source
    assert isinstance(source, OutputSource)
    return source
