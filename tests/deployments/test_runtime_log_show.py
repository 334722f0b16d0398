"""What the running container writes, on its app's page."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments import pipeline
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine
from apps.projects.models import App

LOGS = "/projects/shop/apps/web/logs/"
AWAY = EngineUnavailable("Docker does not answer.", hint="Start it.")


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def deployed(fake: FakeEngine, web: App) -> App:
    deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return web


def test_it_shows_the_last_lines_as_text(inside: Client, fake: FakeEngine, deployed: App) -> None:
    fake.containers.says = [f"line {n}" for n in range(300)] + ["<b>\x1b[31mred\x1b[0m</b>"]
    page = inside.get(LOGS).content.decode()
    assert page.count('class="ln"') == 200
    assert '&lt;b&gt;<span class="a-red">red</span>&lt;/b&gt;' in page
    assert "00:00:00" in page


def test_it_says_that_nothing_is_live_yet(inside: Client, fake: FakeEngine, web: App) -> None:
    assert "Nothing is live yet" in inside.get(LOGS).content.decode()
    assert inside.get(f"{LOGS}text/").content == b""


def test_it_asks_again_only_while_it_follows(
    inside: Client, fake: FakeEngine, deployed: App
) -> None:
    assert "every 2s" not in inside.get(LOGS).content.decode()
    page = inside.get(LOGS, {"follow": "1"}).content.decode()
    assert "every 2s" in page and 'http-equiv="refresh"' in page
    part = inside.get(LOGS, {"follow": "1"}, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and "every 2s" in part and "listening" in part


def test_an_engine_that_is_away_is_told(inside: Client, fake: FakeEngine, deployed: App) -> None:
    fake.containers.fail("logs", AWAY, times=3)
    answer = inside.get(LOGS)
    assert answer.status_code == 503
    assert "Docker does not answer." in answer.content.decode()
    assert "Start it." in answer.content.decode()
    part = inside.get(LOGS, {"follow": "1"}, headers={"HX-Request": "true"})
    assert part.status_code == 200 and "Docker does not answer." in part.content.decode()
    text = inside.get(f"{LOGS}text/")
    assert text.status_code == 503 and b"Docker does not answer." in text.content


def test_it_is_downloaded_with_its_times(inside: Client, fake: FakeEngine, deployed: App) -> None:
    answer = inside.get(f"{LOGS}text/")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content == b"2026-01-01T00:00:00.000000000Z listening\n"
