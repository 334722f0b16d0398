"""What open pages listen to, and what streams into them."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer

from apps.deployments.events import LOBBY, app_group, deployment_group, log_group
from apps.deployments.logs import frame, log_path, read_chunk, read_place
from apps.deployments.models import Deployment
from apps.live.pages import FeedFactory, Live, Send
from apps.projects.models import App

FRAME_LINES = 1_000


def anything(**address: object) -> Live:
    """For lists: whatever changes somewhere. Each page has the sidebar, which is such a list."""
    return Live(groups=[LOBBY])


def of_app(*, project: str, app: str, **address: object) -> Live:
    """For the pages of one app."""
    found = App.objects.filter(project__slug=project, slug=app).values_list("pk", flat=True)
    return Live(groups=[LOBBY, *(app_group(pk) for pk in found)])


def of_deployment(*, project: str, app: str, number: int) -> Live:
    """For the page of one deployment, with its build log."""
    found = Deployment.objects.filter(app__project__slug=project, app__slug=app, number=number)
    groups, feeds = [LOBBY], dict[str, FeedFactory]()
    for pk in found.values_list("pk", flat=True):
        groups.append(deployment_group(pk))
        feeds["log"] = functools.partial(BuildLogFeed, pk)
    return Live(groups, feeds)


class BuildLogFeed:
    """The build log of one deployment from the byte that the page has on, each line once and in
    order. Nudges that come during a read lead to one more."""

    def __init__(self, deployment_id: int, query: Mapping[str, str], send: Send) -> None:
        self._path = log_path(deployment_id)
        self._group = log_group(deployment_id)
        self._offset, self._number = read_place(query)
        self._send = send
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._task = asyncio.create_task(self._follow())

    async def heard(self, message: Mapping[str, Any]) -> None:
        """Pages have nothing to say to it."""

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        layer: Any = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(self._group, channel)
        try:
            while True:
                await self._send_lines()
                await layer.receive(channel)
        finally:
            await layer.group_discard(self._group, channel)

    async def _send_lines(self) -> None:
        more = True
        while more:
            chunk = await sync_to_async(read_chunk, thread_sensitive=False)(
                self._path, offset=self._offset, number=self._number, most=FRAME_LINES
            )
            self._offset, self._number, more = chunk.offset, chunk.number, chunk.more
            if chunk.lines:
                await self._send(json.dumps({"log": frame(chunk)}, ensure_ascii=False))
