"""What every test may use: the cast, the fake engine, a data directory of its own."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from apps.accounts.models import User
from apps.audit import retention
from apps.deployments import observation, reconciliation, tasks
from apps.engine import bench
from apps.engine.base import Engine
from apps.engine.connect import get_engine
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create

PASSWORD = "correct-horse-battery"
# The same examples in every run. `./mist test` in full asks for the deep profile.
hypothesis_settings.register_profile("quick", derandomize=True, deadline=None)
hypothesis_settings.register_profile("deep", derandomize=True, deadline=None)
hypothesis_settings.load_profile("quick")


PLACE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Of this process among those that run tests side by side."""
bench.PORTS = bench.PORTS[PLACE :: max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, what takes longest comes first: the rest runs beside it, instead of waiting
    for it at the end."""

    def minutes(item: pytest.Item) -> int:
        marker = item.get_closest_marker("long")
        return int(marker.args[0]) if marker is not None else 0

    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=minutes, reverse=True)


@pytest.fixture
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    """An empty data directory for this test alone."""
    folder = tmp_path / "mist"
    folder.mkdir()
    settings.MIST_DATA_DIR = folder
    return folder


@pytest.fixture
def engine(data_dir: Path) -> Iterator[Engine]:
    """A new engine: the fake one, unless a test's settings say otherwise. Nothing is waited for
    that another one did not answer."""
    get_engine.cache_clear()
    observation._not_before.clear()
    reconciliation._not_before.clear()
    yield get_engine()
    get_engine.cache_clear()


@pytest.fixture
def fake(engine: Engine) -> FakeEngine:
    """The fake engine, by its own type."""
    return cast(FakeEngine, engine)


@pytest.fixture(autouse=True)
def _no_workers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Nobody works on the queue but the test itself: the in-memory broker keeps what it gets."""
    for task in (tasks.run_deployments, tasks.apply_wishes):
        monkeypatch.setattr(task, "delay", lambda: None)


@pytest.fixture(autouse=True)
def _audit_lets_go(request: pytest.FixtureRequest, _django_db_marker: None) -> Iterator[None]:
    """A test with transactions of its own ends with every table emptied, which the audit trail
    refuses to everybody: here the retention empties it before."""
    marker = request.node.get_closest_marker("django_db")
    real = "transactional_db" in request.fixturenames
    real |= marker is not None and marker.kwargs.get("transaction", False)
    if real:
        request.getfixturevalue("transactional_db")
    yield
    if real:
        with transaction.atomic():
            retention._forget(timezone.now() + dt.timedelta(days=1), batch=1_000_000)


@pytest.fixture
def alice(db: None) -> User:
    """Owns things."""
    return User.objects.create_superuser("alice@example.com", PASSWORD, name="Alice Archer")


@pytest.fixture
def shop(alice: User) -> Project:
    return project_create(slug="shop", created_by=alice)


@pytest.fixture
def web(shop: Project, alice: User) -> App:
    """The app shop/web."""
    return app_create(
        project=shop,
        slug="web",
        repository="https://git.example.com/shop/web.git",
        created_by=alice,
        port=8000,
    )
