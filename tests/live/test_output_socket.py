"""The output of a container on an open page: each line exactly once, whatever happens to the
container, to the connection and to the other pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client

from apps.accounts.models import User
from apps.deployments import events, pipeline
from apps.deployments.models import Deployment, Status
from apps.deployments.output import stamp_of
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.engine.masking import MASK
from apps.projects.models import App
from apps.projects.services import variables_save
from tests.live.test_page_socket import Pages, heard

pytestmark = pytest.mark.django_db(transaction=True)
LOGS = "/projects/shop/apps/web/logs/"


@pytest.fixture
async def pages(client: Client, alice: User) -> AsyncIterator[Pages]:
    await sync_to_async(client.force_login)(alice)
    made = Pages(client)
    yield made
    for socket in made.opened:
        await socket.disconnect()


def deploy(app: App) -> Deployment:
    deployment_request(app=app, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


@pytest.fixture
def live(fake: FakeEngine, web: App) -> Deployment:
    fake.containers.says = []
    return deploy(web)


class Watcher:
    """One page and the lines that it was sent."""

    def __init__(self, socket: WebsocketCommunicator | None) -> None:
        assert socket is not None
        self.socket = socket
        self.lines: list[list[Any]] = []
        self.at = ""

    @property
    def texts(self) -> list[str]:
        return [line[4] for line in self.lines]

    async def until(self, text: str) -> list[str]:
        while text not in self.texts:
            frame = await heard(self.socket, "log")
            self.lines += frame["lines"]
            self.at = frame["place"]["at"]
        return self.texts


async def watch(pages: Pages, at: str) -> Watcher:
    return Watcher(await pages.open(LOGS, log_at=at))


async def test_one_follower_serves_everybody(
    pages: Pages, fake: FakeEngine, live: Deployment
) -> None:
    at = f"{live.pk}-0-0-0"
    watchers = [await watch(pages, at) for _ in range(20)]
    for n in range(30):
        fake.containers.write(live.container_id, f"line {n}", stream="out" if n % 2 else "err")
        await asyncio.sleep(0.002)
    wanted = [f"line {n}" for n in range(30)]
    for watcher in watchers:
        assert await watcher.until("line 29") == wanted
    assert [line[2] for line in watchers[0].lines[:2]] == ["err", "out"]
    followed = [call for call in fake.containers.calls if call[0] == "output"]
    assert len(followed) == 1


async def test_nobody_follows_when_nobody_looks(
    pages: Pages, fake: FakeEngine, live: Deployment
) -> None:
    at = f"{live.pk}-0-0-0"
    first = await watch(pages, at)
    fake.containers.write(live.container_id, "one", stamp=stamp_of(10**9))
    await first.until("one")
    await first.socket.disconnect()
    pages.opened.clear()
    await asyncio.sleep(0.05)
    fake.containers.write(live.container_id, "two", stamp=stamp_of(2 * 10**9))
    assert not any("output" in task.get_name() for task in asyncio.all_tasks())
    again = await watch(pages, first.at)
    assert await again.until("two") == ["two"]


async def test_pages_that_come_and_go_miss_nothing(
    pages: Pages, fake: FakeEngine, live: Deployment
) -> None:
    steady = await watch(pages, f"{live.pk}-0-0-0")
    lines: list[str] = []
    at = f"{live.pk}-0-0-0"
    for turn in range(12):
        # Always the same time but for a few: places are told apart by their count.
        for n in range(7):
            stamp = stamp_of((1 + turn // 5) * 10**9)
            fake.containers.write(live.container_id, f"{turn}.{n}", stamp=stamp)
        visitor = await watch(pages, at)
        await visitor.until(f"{turn}.3")
        lines += visitor.texts
        at = visitor.at
        await visitor.socket.disconnect()
        pages.opened.remove(visitor.socket)
    last = await watch(pages, at)
    fake.containers.write(live.container_id, "end", stamp=stamp_of(9 * 10**9))
    lines += await last.until("end")
    wanted = [f"{turn}.{n}" for turn in range(12) for n in range(7)]
    assert lines == [*wanted, "end"]
    assert await steady.until("end") == [*wanted, "end"]


async def test_it_goes_on_in_the_next_deployment(
    pages: Pages, fake: FakeEngine, live: Deployment, web: App
) -> None:
    watcher = await watch(pages, f"{live.pk}-0-0-0")
    fake.containers.write(live.container_id, "old words")
    await watcher.until("old words")
    fake.containers.says = ["hello"]
    fake.containers.written[live.container_id].append(
        fake.containers.output_of(live.container_id)[-1]._replace(text="last words")
    )
    second = await database_sync_to_async(deploy)(web)
    fake.containers.write(second.container_id, "new words")
    await watcher.until("new words")
    rule = f"Deployment #{second.number} took over"
    assert watcher.texts[0] == "old words"
    assert watcher.texts[-3:] == [rule, "hello", "new words"]
    away = await watch(pages, f"{live.pk}-{10**18}-1-0")
    assert (await away.until("new words"))[-3:] == [rule, "hello", "new words"]


async def test_restarts_are_marked(pages: Pages, fake: FakeEngine, live: Deployment) -> None:
    watcher = await watch(pages, f"{live.pk}-0-0-0")
    fake.containers.write(live.container_id, "before", stamp=stamp_of(10**9))
    await watcher.until("before")
    fake.containers.kill(live.container_id, exit_code=137)
    await watcher.until("Ended, exit code 137")
    fake.containers.resume(live.container_id)
    fake.containers.write(live.container_id, "after", stamp=stamp_of(2 * 10**9))
    await sync_to_async(events.app_changed)(app_id=live.app_id)
    assert await watcher.until("after") == [
        "before",
        "Ended, exit code 137",
        "Started again",
        "after",
    ]
    late = await watch(pages, watcher.at)
    fake.containers.write(live.container_id, "end", stamp=stamp_of(3 * 10**9))
    assert await late.until("end") == ["end"]


async def test_a_page_may_look_before_anything_is_live(
    pages: Pages, fake: FakeEngine, web: App
) -> None:
    watcher = await watch(pages, "0-0-0-0")
    fake.containers.says = ["hello"]
    await database_sync_to_async(deploy)(web)
    assert await watcher.until("hello") == ["hello"]
    live = await Deployment.objects.aget(status=Status.LIVE)
    assert watcher.at.startswith(f"{live.pk}-")


async def test_values_are_hidden_on_their_way_also_over_two_lines(
    pages: Pages, fake: FakeEngine, live: Deployment, web: App
) -> None:
    save = database_sync_to_async(variables_save)
    await save(app=web, values={"TOKEN": "value-that-nobody-may-see"}, changed_by=None)
    watcher = await watch(pages, f"{live.pk}-0-0-0")
    texts = ["it is value-that-nobody-may-see", "value-that-no", "body-may-see.", "value-that-nobody"]  # fmt: skip
    for number, text in enumerate(texts):
        fake.containers.write(live.container_id, text, stamp=stamp_of((2 + number) * 10**9))
        await asyncio.sleep(0.03)
    # Nothing follows the last one: half of a value and more is hidden after a moment.
    while len(watcher.texts) < len(texts):
        watcher.lines += (await heard(watcher.socket, "log"))["lines"]
    fake.containers.write(live.container_id, "-may-see end", stamp=stamp_of(9 * 10**9))
    wanted = [f"it is {MASK}", MASK, f"{MASK}.", MASK, f"{MASK} end"]
    assert await watcher.until(f"{MASK} end") == wanted
