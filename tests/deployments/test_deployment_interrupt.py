"""A deployment that Mist's end, or the engine's absence, interrupts: back into the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.deployments import pipeline, recovery, work
from apps.deployments.logs import log_path
from apps.deployments.models import Deployment, Status
from apps.deployments.tasks import claim_next
from apps.engine.build_errors import BuildOutput
from apps.engine.data import BuildSpec
from apps.engine.errors import BuildFailed, EngineAway
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy, serving

AWAY = "The Docker engine does not answer."


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(work, "ASK_ENGINE_SECONDS", 0.0)
    yield
    work.stopping.clear()


def test_it_is_queued_with_nothing_left_when_mist_stops(
    fake: FakeEngine, web: App, data_dir: Path
) -> None:
    first = deploy(web)
    fake.containers.fail("build", lambda: work.stopping.set())
    second = deploy(web)
    assert (second.status, second.owner, second.image) == (Status.QUEUED, "", "")
    assert list(fake.containers.images) == [first.image]
    assert not list((data_dir / "builds").glob("*"))
    assert serving(fake, web) == f"{first.service}@docker"


def test_a_switch_is_finished_though_mist_stops(fake: FakeEngine, web: App) -> None:
    fake.proxy.fail("write_routes", lambda: work.stopping.set())
    assert deploy(web).status == Status.LIVE


def test_it_begins_again_when_the_engine_is_back(fake: FakeEngine, web: App) -> None:
    fake.containers.fail("start", EngineAway(AWAY))
    waiting = deploy(web)
    assert (waiting.status, waiting.failure) == (Status.QUEUED, "")
    assert fake.containers.all == {} and fake.containers.images == {}
    assert "begins again" in log_path(waiting.pk).read_text()


def test_one_that_brings_the_engine_down_each_time_fails_in_the_end(
    fake: FakeEngine, web: App
) -> None:
    fake.containers.fail("start", EngineAway(AWAY))
    deploy(web)
    for status in (Status.QUEUED, Status.FAILED):
        fake.containers.fail("start", EngineAway(AWAY))
        claimed = claim_next()
        assert claimed is not None
        pipeline.run(claimed)
        row = Deployment.objects.get(app=web)
        assert row.status == status
    assert row.failure == AWAY


def test_nothing_is_undone_when_mist_stops_while_the_engine_is_away(
    fake: FakeEngine, web: App
) -> None:
    fake.containers.fail("start", EngineAway(AWAY))

    def stop() -> None:
        work.stopping.set()
        raise EngineAway(AWAY)

    fake.containers.fail("info", stop)
    left = deploy(web)
    assert (left.status, left.owner, left.failure) == (Status.STARTING, "", "")
    assert fake.containers.images
    work.stopping.clear()
    recovery.recover_abandoned(owner="another", alone=False)
    left.refresh_from_db()
    assert left.status == Status.QUEUED


def test_a_cancel_is_heard_while_the_engine_is_away(fake: FakeEngine, web: App) -> None:
    fake.containers.fail("start", EngineAway(AWAY))

    def cancel() -> None:
        row = Deployment.objects.get(app=web)
        Deployment.objects.filter(pk=row.pk).update(cancel_requested_at=row.created_at)
        raise EngineAway(AWAY)

    fake.containers.fail("info", cancel)
    assert deploy(web).status == Status.CANCELLED


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("unexpected EOF", EngineAway),
        ("ERROR: Cannot connect to the Docker daemon at unix:///x. Is it running?", EngineAway),
        ("failed to receive status: rpc error: code = Unavailable desc = x", EngineAway),
        # The step's own output says something of the kind.
        ("#7 0.3 curl: (7) connection refused", BuildFailed),
    ],
)
def test_a_build_that_lost_its_engine_is_told_from_one_that_failed(
    tmp_path: Path, line: str, reason: type[Exception]
) -> None:
    output = BuildOutput(BuildSpec(tmp_path, tmp_path / "Dockerfile", "shop:1"))
    output.add("#7 [2/2] RUN make")
    output.add(line)
    assert type(output.failure(1)) is reason
