"""Taking samples: the background rounds, and the seconds while somebody looks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from asgiref.sync import sync_to_async
from pytest_django import DjangoAssertNumQueries

from apps.deployments.models import Deployment
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine
from apps.engine.fake_containers import IDLE
from apps.metrics.cards import numbers_frame
from apps.metrics.live import LiveSampler, Snapshot, Topic, Viewer
from apps.metrics.models import Samples
from apps.metrics.packing import HOST, unpack
from apps.metrics.planning import range_of
from apps.metrics.sampling import Meter, Recorder, record_metrics
from apps.metrics.selectors import live_containers, series_of
from apps.projects.models import App, Project
from apps.projects.services import app_create
from tests.metrics.world import make_live

HOUR = 1_800_000_000
PERIOD = 0.02


def recorder() -> Recorder:
    """Whose readings may be as near to each other as a test takes them."""
    return Recorder(Meter(least=0.0))


def newest() -> dict[int, int]:
    """Subject → its memory in MB, of the newest round."""
    last = Samples.objects.order_by("-at")[:1].values("at")
    found: dict[int, int] = {}
    for row in Samples.objects.filter(at__in=last):
        found |= {s: sample.mean.memory // 1024 for s, sample in unpack(row.data).items()}
    return found


@pytest.mark.django_db
class TestRounds:
    def test_it_keeps_a_sample_of_the_host_and_of_each_running_app(
        self, fake: FakeEngine, web: App, shop: Project
    ) -> None:
        make_live(fake, web)
        stopped = app_create(
            project=shop, slug="old", repository="https://e.com/o.git", created_by=None
        )
        fake.containers.kill(make_live(fake, stopped))
        rounds = recorder()
        rounds.record(HOUR)
        assert not Samples.objects.exists()  # rates take two readings
        rounds.record(HOUR + 15.3)
        assert {HOST, web.pk} == newest().keys() and newest()[web.pk] == 20
        assert series_of(web.pk, range_of("1h"), HOUR + 20)[0].at == HOUR + 15

    def test_a_restart_of_mist_leaves_what_was_kept(self, fake: FakeEngine, web: App) -> None:
        make_live(fake, web)
        for start in (HOUR, HOUR + 60):
            again = recorder()
            again.record(start)
            again.record(start + 15)
        series = series_of(web.pk, range_of("1h"), HOUR + 80)
        assert [moment.at - HOUR for moment in series] == [15, 75]

    def test_another_container_begins_anew(self, fake: FakeEngine, web: App) -> None:
        old = make_live(fake, web)
        fake.containers.used[old] = replace(IDLE, received=10**9)
        rounds = recorder()
        rounds.record(HOUR)
        rounds.record(HOUR + 15)
        fake.containers.used[make_live(fake, web)] = replace(IDLE, received=5 * 10**9)
        rounds.record(HOUR + 30)
        assert web.pk not in newest()
        rounds.record(HOUR + 45)
        series = series_of(web.pk, range_of("1h"), HOUR + 50)
        assert [(m.at - HOUR, m.sample.most.received) for m in series] == [(15, 0), (45, 0)]

    def test_all_containers_of_an_app_count_together(self, fake: FakeEngine, web: App) -> None:
        first = make_live(fake, web)
        fake.containers.used["second"] = replace(IDLE, memory=30 * 1024**2)
        fake.containers.all["second"] = replace(fake.containers.all[first], id="second")
        Deployment.objects.update(replica_ids=["second"])
        rounds = recorder()
        rounds.record(HOUR)
        rounds.record(HOUR + 15)
        assert newest()[web.pk] == 50

    def test_the_host_is_measured_when_the_engine_does_not_answer(
        self, fake: FakeEngine, web: App
    ) -> None:
        make_live(fake, web)
        rounds = recorder()
        fake.containers.fail("usage", EngineUnavailable("The engine is away."), times=2)
        rounds.record(HOUR)
        rounds.record(HOUR + 15)
        assert newest().keys() == {HOST}

    def test_it_asks_the_database_as_often_for_many_apps_as_for_one(
        self,
        fake: FakeEngine,
        shop: Project,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for number in range(20):
            app = app_create(
                project=shop,
                slug=f"app-{number}",
                repository="https://e.com/o.git",
                created_by=None,
            )
            make_live(fake, app)
        rounds = recorder()
        rounds.record(HOUR)
        with django_assert_max_num_queries(2):
            rounds.record(HOUR + 15)
        assert len(newest()) == 21

    def test_full_five_minutes_are_rolled_up(self, fake: FakeEngine, web: App) -> None:
        make_live(fake, web)
        rounds = recorder()
        for second in range(0, 315, 15):
            rounds.record(HOUR + second)
        assert {s.at for s in Samples.objects.filter(resolution=300)} == {HOUR}

    def test_apps_that_should_not_run_are_not_looked_for(self, fake: FakeEngine, web: App) -> None:
        container = make_live(fake, web)
        assert live_containers() == live_containers([web.pk]) == {web.pk: [container]}
        assert live_containers([web.pk + 1]) == {}
        App.objects.update(wanted=App.Wanted.STOPPED)
        assert live_containers() == {}


@pytest.mark.django_db(transaction=True)
def test_the_rounds_end_when_mist_stops(engine: object) -> None:
    stopping = threading.Event()
    thread = threading.Thread(target=record_metrics, args=(stopping,))
    thread.start()
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()


class Page:
    """A page that keeps what it is sent."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, text: str) -> None:
        self.frames.put_nowait(text)

    async def next(self) -> str:
        return await asyncio.wait_for(self.frames.get(), 10)


class Sampler(LiveSampler):
    """Remembers who has joined, so that all can leave in the end."""

    def __init__(self) -> None:
        super().__init__(PERIOD)
        self.joined: list[Viewer] = []

    def join(self, viewer: Viewer) -> None:
        self.joined.append(viewer)
        super().join(viewer)


@pytest.fixture
async def sampler(engine: object, transactional_db: None) -> AsyncIterator[LiveSampler]:
    made = Sampler()
    yield made
    for viewer in made.joined:
        made.leave(viewer)
    await ended(made)


async def ended(sampler: LiveSampler) -> None:
    """Returns once no thread samples any more."""
    for _ in range(500):
        if sampler.thread is None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("somebody still samples")


async def test_nobody_samples_when_nobody_looks(sampler: LiveSampler) -> None:
    assert sampler.thread is None
    page = Page()
    viewer = Viewer(Topic(HOST, numbers_frame), page.send)
    sampler.join(viewer)
    assert sampler.thread is not None
    await page.next()
    sampler.leave(viewer)
    sampler.leave(viewer)
    await ended(sampler)
    again = Page()
    sampler.join(Viewer(Topic(HOST, numbers_frame), again.send))
    assert json.loads(await again.next())["metrics"]["values"][1] > 0


async def test_many_viewers_have_one_sampler_and_one_frame(sampler: LiveSampler) -> None:
    made: list[str] = []

    def form(snapshot: Snapshot) -> str:
        made.append(f"frame {len(made)}")
        return made[-1]

    pages = [Page() for _ in range(100)]
    topic = Topic(HOST, form)
    sampler.join(Viewer(topic, pages[0].send))
    thread = sampler.thread
    for page in pages[1:]:
        sampler.join(Viewer(topic, page.send))
    assert sampler.thread is thread
    frames = [await page.next() for page in pages for _ in range(3)]
    assert set(frames) <= set(made), "each page gets what was drawn once for all"
    assert len(made) < len(pages)


async def test_who_looks_sees_numbers_again_after_reading_them_failed(
    sampler: LiveSampler, fake: FakeEngine, web: App
) -> None:
    await sync_to_async(make_live)(fake, web)
    fake.containers.fail("usage", OSError(24, "Too many open files"))
    page = Page()
    sampler.join(Viewer(Topic(web.pk, numbers_frame), page.send))
    assert await page.next()
    assert [step for step, _ in fake.containers.calls].count("usage") > 1


async def test_one_that_draws_badly_disturbs_no_other(sampler: LiveSampler) -> None:
    def broken(snapshot: Snapshot) -> str:
        raise ValueError("cannot draw")

    good, bad = Page(), Page()
    sampler.join(Viewer(Topic(HOST, broken), bad.send))
    sampler.join(Viewer(Topic(HOST, numbers_frame), good.send))
    for _ in range(3):
        await good.next()
    assert bad.frames.empty()


async def test_an_app_that_stops_is_said_to_have_no_numbers(
    sampler: LiveSampler, fake: FakeEngine, web: App
) -> None:
    container = await sync_to_async(make_live)(fake, web)
    page = Page()
    sampler.join(Viewer(Topic(web.pk, numbers_frame), page.send))
    assert json.loads(await page.next())["metrics"]["values"][6] == 1
    fake.containers.kill(container)
    while json.loads(await page.next())["metrics"]["values"] is not None:
        pass
