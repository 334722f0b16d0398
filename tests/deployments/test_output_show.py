"""What containers of an app write, on its page: now, of a time, of one that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import pipeline, reconciliation
from apps.deployments.archive import archive_path, kept_lines
from apps.deployments.models import Deployment, Status
from apps.deployments.output import stamp_of
from apps.deployments.services import app_delete, deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.errors import EngineUnavailable, HealthCheckFailed
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


def deploy(app: App) -> Deployment:
    deployment_request(app=app, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def now() -> str:
    return f"{timezone.now():%Y-%m-%dT%H:%M:%S}.123456789Z"


def test_it_shows_the_last_lines_as_text(inside: Client, fake: FakeEngine, deployed: App) -> None:
    live = Deployment.objects.get(status=Status.LIVE)
    for n in range(300):
        fake.containers.write(live.container_id, f"line {n}", stamp=stamp_of(n * 1_000_000))
    late = stamp_of(1_000_000_000)
    fake.containers.write(live.container_id, "<b>\x1b[31mred\x1b[0m</b>", stream="err", stamp=late)
    page = inside.get(LOGS).content.decode()
    assert page.count('class="ln"') == 200
    assert "line 101<" in page and "line 100<" not in page
    assert '&lt;b&gt;<span class="a-red">red</span>&lt;/b&gt;' in page
    assert page.count('title="Written to standard error"') == 1
    assert f'data-place="{{&quot;at&quot;: &quot;{live.pk}-1000000000-1-0&quot;}}"' in page


def test_it_says_that_nothing_is_live_yet(inside: Client, fake: FakeEngine, web: App) -> None:
    assert "Nothing is live yet" in inside.get(LOGS).content.decode()
    assert b"".join(cast(StreamingHttpResponse, inside.get(f"{LOGS}text/"))) == b""
    assert inside.get(f"{LOGS}chunk/").json()["log"]["lines"] == []


def test_its_parts_ask_no_engine(inside: Client, fake: FakeEngine, deployed: App) -> None:
    before = len(fake.containers.calls)
    part = inside.get(LOGS, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and "app-head" in part
    assert len(fake.containers.calls) == before


def test_an_engine_that_is_away_is_told(inside: Client, fake: FakeEngine, deployed: App) -> None:
    fake.containers.fail("output", AWAY, times=3)
    answer = inside.get(LOGS)
    assert answer.status_code == 503
    assert "Docker does not answer." in answer.content.decode()
    assert "Start it." in answer.content.decode()
    text = inside.get(f"{LOGS}text/")
    assert text.status_code == 503 and b"Docker does not answer." in text.content
    assert inside.get(f"{LOGS}chunk/").status_code == 503


def test_it_is_downloaded_with_its_times(inside: Client, fake: FakeEngine, deployed: App) -> None:
    answer = cast(StreamingHttpResponse, inside.get(f"{LOGS}text/"))
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert b"".join(answer) == b"2026-01-01T00:00:00.000000000Z out listening\n"


def test_what_a_replaced_container_wrote_stays_readable(
    inside: Client, fake: FakeEngine, deployed: App
) -> None:
    first = Deployment.objects.get(status=Status.LIVE)
    fake.containers.write(first.container_id, "first words", stream="err")
    second = deploy(deployed)
    fake.containers.write(second.container_id, "second words")
    assert first.container_id not in fake.containers.all
    old = inside.get(LOGS, {"deployment": first.number}).content.decode()
    assert "first words" in old and "second words" not in old and "data-place" not in old
    live = inside.get(LOGS).content.decode()
    assert "second words" in live and "first words" not in live
    assert f'<option value="{first.number}">#{first.number}</option>' in live
    text = b"".join(cast(StreamingHttpResponse, inside.get(f"{LOGS}text/"))).decode()
    assert text.index("err first words") < text.index("--- Deployment #2 ---")
    page = inside.get("/projects/shop/apps/web/deployments/1/").content.decode()
    assert f"{LOGS}?deployment=1" in page


def test_a_failed_deployments_output_is_kept_too(
    inside: Client, fake: FakeEngine, web: App
) -> None:
    fake.proxy.fail("probe", HealthCheckFailed("No answer."))
    failed = deploy(web)
    assert failed.status == Status.FAILED and fake.containers.all == {}
    assert "listening" in inside.get(LOGS, {"deployment": 1}).content.decode()


def test_a_range_covers_what_was_written_since_then(
    inside: Client, fake: FakeEngine, deployed: App
) -> None:
    live = Deployment.objects.get(status=Status.LIVE)
    fake.containers.write(live.container_id, "just now", stamp=now())
    for wanted in ("1h", "24h", "7d"):
        page = inside.get(LOGS, {"range": wanted}).content.decode()
        assert "just now" in page and "listening" not in page
    assert "listening" in inside.get(LOGS, {"range": "nonsense"}).content.decode()


def test_only_lines_with_a_text_are_shown(inside: Client, fake: FakeEngine, deployed: App) -> None:
    live = Deployment.objects.get(status=Status.LIVE)
    fake.containers.write(live.container_id, "A Needle")
    page = inside.get(LOGS, {"q": "needle"}).content.decode()
    assert "A Needle" in page and page.count('class="ln"') == 1
    page = inside.get(LOGS, {"q": "<none>"}).content.decode()
    assert "No line has “&lt;none&gt;”" in page


def test_a_page_without_a_socket_gets_each_line_once(
    inside: Client, fake: FakeEngine, deployed: App
) -> None:
    live = Deployment.objects.get(status=Status.LIVE)
    seen: list[str] = []
    at = f"{live.pk}-0-0-0"
    for n in range(40):  # all at the same time: only their order tells them apart
        fake.containers.write(live.container_id, f"line {n}")
        if n % 3 == 0:
            frame = inside.get(f"{LOGS}chunk/", {"at": at}).json()["log"]
            seen += [line[4] for line in frame["lines"]]
            at = frame["place"]["at"]
    assert seen == ["listening", *(f"line {n}" for n in range(40))]
    second = deploy(deployed)
    frame = inside.get(f"{LOGS}chunk/", {"at": at}).json()["log"]
    assert [line[2] for line in frame["lines"]] == ["rule", "out"]
    assert frame["place"]["at"].startswith(f"{second.pk}-")


def test_deleting_an_app_deletes_what_was_kept(fake: FakeEngine, deployed: App) -> None:
    first = Deployment.objects.get(status=Status.LIVE)
    deploy(deployed)
    assert archive_path(first.pk).exists()
    app_delete(app=deployed)
    reconciliation.apply_wishes()
    assert not archive_path(first.pk).exists()


def test_only_the_newest_part_of_a_long_output_is_kept(
    inside: Client, fake: FakeEngine, deployed: App, settings: Settings
) -> None:
    settings.MIST_OUTPUT_LOG_MAX_MB = 1
    first = Deployment.objects.get(status=Status.LIVE)
    for n in range(2_000):
        fake.containers.write(first.container_id, f"{n} {'x' * 1_000}")
    deploy(deployed)
    lines = list(kept_lines(first.pk))
    assert lines[0].stream == "rule" and "newest 1 MB" in lines[0].text
    numbers = [int(line.text.split()[0]) for line in lines[1:]]
    assert numbers == list(range(numbers[0], 2_000)) and 1_000 < len(numbers) < 1_050
    assert archive_path(first.pk).stat().st_size < 100_000
    assert [p.name for p in archive_path(first.pk).parent.glob("*.output*")] == [
        archive_path(first.pk).name
    ]


def test_a_damaged_archive_is_read_as_far_as_it_goes(fake: FakeEngine, deployed: App) -> None:
    first = Deployment.objects.get(status=Status.LIVE)
    deploy(deployed)
    path = archive_path(first.pk)
    path.write_bytes(path.read_bytes()[:-12])
    assert [line.text for line in kept_lines(first.pk)] in ([], ["listening"])
    path.write_bytes(b"no gzip")
    assert list(kept_lines(first.pk)) == []


def test_a_full_disk_does_not_keep_a_container_alive(
    fake: FakeEngine, deployed: App, data_dir: Path
) -> None:
    first = Deployment.objects.get(status=Status.LIVE)
    fake.containers.fail("output", OSError(28, "No space left on device"))
    assert deploy(deployed).status == Status.LIVE
    assert first.container_id not in fake.containers.all
