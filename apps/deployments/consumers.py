"""WebSockets of live pages. They carry nudges and log lines, never facts that a page shows: those
are read again over HTTP, under the rules of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import QueryDict

from apps.accounts.models import User
from apps.deployments import events
from apps.deployments.logs import frame, log_path, read_chunk, read_place
from apps.deployments.selectors import deployments_visible_to
from apps.projects.selectors import apps_visible_to

FRAME_LINES = 1_000
NOT_FOUND = 4404


class NudgeConsumer(AsyncWebsocketConsumer):
    """Tells the page whenever its group hears that something has changed.

    Who is not logged in, or may not see what the page is about, is turned away before the
    handshake ends.
    """

    joined: str = ""

    async def connect(self) -> None:
        user = self.scope.get("user")
        group = ""
        if user is not None and user.is_authenticated and user.is_active:
            group = await database_sync_to_async(self.group)(cast(User, user))
        if not group:
            await self.close(NOT_FOUND)
            return
        await self.channel_layer.group_add(group, self.channel_name)
        self.joined = group
        await self.accept()

    async def disconnect(self, code: int) -> None:
        if self.joined:
            await self.channel_layer.group_discard(self.joined, self.channel_name)

    def group(self, user: User) -> str:
        """The group to listen to, empty when there is nothing here that the user may see."""
        raise NotImplementedError

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Pages have nothing to say."""

    async def mist_changed(self, message: dict[str, Any]) -> None:
        await self.send(text_data='{"changed":true}')

    @property
    def pk(self) -> int:
        return int(self.scope["url_route"]["kwargs"]["pk"])


class LobbyConsumer(NudgeConsumer):
    """Something changed somewhere: for lists."""

    def group(self, user: User) -> str:
        return events.LOBBY


class AppConsumer(NudgeConsumer):
    """One app or one of its deployments changed."""

    def group(self, user: User) -> str:
        visible = apps_visible_to(user).filter(pk=self.pk).exists()
        return events.app_group(self.pk) if visible else ""


class DeploymentConsumer(NudgeConsumer):
    """One deployment changed, and its build log from the byte that the page has on.

    Channels hands over one message after the other, so no two reads overlap and each line is sent
    once, in order. Nudges that come during a read lead to one more.
    """

    path: Path
    offset: int
    number: int

    def group(self, user: User) -> str:
        visible = deployments_visible_to(user).filter(pk=self.pk).exists()
        return events.deployment_group(self.pk) if visible else ""

    async def connect(self) -> None:
        self.path = log_path(self.pk)
        self.offset, self.number = read_place(QueryDict(self.scope.get("query_string", b"")))
        await super().connect()
        if self.joined:
            await self._send_lines()

    async def mist_log(self, message: dict[str, Any]) -> None:
        await self._send_lines()

    async def _send_lines(self) -> None:
        more = True
        while more:
            chunk = await sync_to_async(read_chunk)(
                self.path, offset=self.offset, number=self.number, most=FRAME_LINES
            )
            self.offset, self.number, more = chunk.offset, chunk.number, chunk.more
            if chunk.lines:
                await self.send(text_data=json.dumps(frame(chunk), ensure_ascii=False))
