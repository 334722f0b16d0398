"""Pages with charts: what they say, who may see them, how cheap they are."""

from __future__ import annotations

import json
import time

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.engine.errors import EngineUnavailable, ProxyUnavailable
from apps.engine.fake import FakeEngine
from apps.metrics.models import Resolution, Samples
from apps.metrics.packing import HOST, Point, Sample
from apps.metrics.services import samples_roll_up, samples_write
from apps.projects.models import App, Project
from apps.projects.services import app_create
from tests.metrics.world import make_live

A = "/projects/shop/apps/web/"
OF_APP = [f"{A}metrics/", f"{A}metrics/data/", f"{A}metrics/usage/"]
OF_HOST = ["/server/", "/server/data/", "/server/row/"]
BUSY = Point(2_500, 104_448, 1_258_291, 3_565_158, 0, 4_096, 12)
pytestmark = pytest.mark.django_db


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def keep(minutes: int, **apps: Point) -> None:
    """Fine samples of the last minutes: `keep(5, a1=point)`."""
    now = int(time.time()) // 15 * 15
    samples = {int(name[1:]): Sample(point, point) for name, point in apps.items()}
    for at in range(now - minutes * 60, now + 1, 15):
        samples_write(at=at, samples=samples, resolution=Resolution.FINE)
    samples_roll_up(now=now)


@pytest.fixture
def measured(fake: FakeEngine, web: App) -> App:
    """shop/web runs, has been measured for ten minutes, and went live meanwhile."""
    make_live(fake, web)
    Deployment.objects.update(finished_at=timezone.now())
    keep(10, **{f"a{web.pk}": BUSY, f"a{HOST}": BUSY._replace(tasks=142)})
    return web


@pytest.mark.parametrize("path", OF_APP)
def test_what_one_may_not_see_is_not_there(inside: Client, measured: App, path: str) -> None:
    assert inside.get(path).status_code == 200
    assert inside.get(path.replace("/web/", "/other/")).status_code == 404
    App.objects.update(deleted_at=timezone.now())
    assert inside.get(path).status_code == 404


@pytest.mark.parametrize("path", [*OF_APP, *OF_HOST])
def test_it_is_closed_to_who_is_not_logged_in(client: Client, measured: App, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302 and answer["Location"].startswith("/login/")


@pytest.mark.parametrize("path", [*OF_APP, *OF_HOST, A, "/"])
@pytest.mark.parametrize("chosen", ["1h", "30d"])
def test_it_takes_no_more_than_eight_queries(
    inside: Client,
    fake: FakeEngine,
    measured: App,
    shop: Project,
    path: str,
    chosen: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(12):
        app = app_create(
            project=shop, slug=f"app-{number}", repository="https://e.com/o.git", created_by=None
        )
        make_live(fake, app)
        keep(1, **{f"a{app.pk}": BUSY})
    with django_assert_max_num_queries(8):
        assert inside.get(path, {"range": chosen}).status_code == 200


def test_the_numbers_stand_in_a_table_too(inside: Client, measured: App) -> None:
    text = inside.get(OF_APP[0]).content.decode()
    for words in ("25%", "102\u00a0MB", "1.2\u00a0MB/s", "3.4\u00a0MB/s", "4\u00a0KB/s", ">12<"):
        assert words in text
    assert "Limit 1\u00a0core" in text and "Limit 512\u00a0MB" in text
    assert 'role="img" aria-label="CPU over the last 1 h: average 25%, highest 25% on' in text


@pytest.mark.parametrize(
    ("chosen", "most"), [("1h", 45), ("24h", 5), ("7d", 3), ("30d", 3), ("x", 45)]
)
def test_charts_get_the_samples_of_their_range(
    inside: Client, measured: App, chosen: str, most: int
) -> None:
    found = json.loads(inside.get(OF_APP[1], {"range": chosen}).content)
    columns = found["columns"]
    assert 0 < len(columns["at"]) <= most
    assert columns["at"][-1] > time.time() - 3_700
    assert set(columns["cpu"]) == {2_500} and set(columns["tasks"]) == {12}
    assert [number for _, number in found["deployments"]] == [1]
    assert found["live"] is (found["seconds"] == 3_600)


def test_a_chosen_range_is_marked(inside: Client, measured: App) -> None:
    text = inside.get(OF_APP[0], {"range": "7d"}).content.decode()
    assert '?range=7d" aria-current="true">7 d</a>' in text
    assert f'data-plots="{A}metrics/data/?range=7d"' in text


def test_an_app_without_numbers_says_why(inside: Client, web: App, fake: FakeEngine) -> None:
    assert "Nothing to measure in this time" in inside.get(OF_APP[0]).content.decode()
    make_live(fake, web)
    text = inside.get(OF_APP[0]).content.decode()
    assert "No numbers in this time yet" in text and "Look again" in text
    assert "The first numbers come half a minute" in inside.get(A).content.decode()


def test_the_overview_shows_the_last_hour(inside: Client, measured: App) -> None:
    text = inside.get(A).content.decode()
    card = text[text.index('id="app-usage"') :]
    assert "25%" in card and "102 <small>MB</small>" in card and "4.6 <small>MB/s</small>" in card
    assert card.count('class="spark"') == 3


def test_the_dashboard_shows_the_host(inside: Client, measured: App) -> None:
    text = inside.get("/").content.decode()
    row = text[text.index('id="host-metrics"') : text.index('id="projects-h"')]
    assert "1 app running" in row and row.count('class="spark"') == 3
    assert 'aria-label="Disk used"' in row


@pytest.mark.parametrize(("path", "part"), [("/", "host-metrics"), (A, "app-usage")])
def test_a_refreshed_page_keeps_the_card_that_its_feed_fills(
    inside: Client, measured: App, path: str, part: str
) -> None:
    text = inside.get(path, headers={"HX-Request": "true"}).content.decode()
    assert f'id="{part}" data-stub></section>' in text


def test_the_server_page_names_what_serves_and_who_takes_most(
    inside: Client, measured: App, shop: Project, fake: FakeEngine
) -> None:
    small = app_create(
        project=shop, slug="small", repository="https://e.com/o.git", created_by=None
    )
    make_live(fake, small)
    Samples.objects.all().delete()
    other = BUSY._replace(cpu=9, memory=900_000)
    keep(1, **{f"a{measured.pk}": BUSY, f"a{small.pk}": other, "a0": BUSY._replace(tasks=142)})
    text = inside.get("/server/").content.decode()
    assert "28.0.0" in text and "3.7.15" in text and "1.42" in text
    by_cpu = text[text.index('id="top-cpu"') : text.index('id="top-memory"')]
    by_memory = text[text.index('id="top-memory"') :]
    assert by_cpu.index("shop / web") < by_cpu.index("shop / small")
    assert by_memory.index("shop / small") < by_memory.index("shop / web")


def test_the_server_page_works_while_others_do_not(inside: Client, fake: FakeEngine) -> None:
    fake.containers.fail("info", EngineUnavailable("Away."))
    fake.containers.fail("storage", EngineUnavailable("Away."))
    fake.proxy.fail("version", ProxyUnavailable("Away."))
    text = inside.get("/server/").content.decode()
    assert text.count("Does not answer") == 2
    assert "No numbers in this time yet" in text
