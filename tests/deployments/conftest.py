from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import checking, endings, rolls, work
from apps.engine.bench import free_ports
from apps.engine.connect import get_engine
from apps.engine.data import EngineConfig
from apps.projects.models import App
from apps.projects.services import project_create
from tests.engine.git_host import serve_git
from tests.machine.world import World, unique_instance


@pytest.fixture
def docker_client() -> Iterator[docker.DockerClient]:
    """What a person with a terminal does to the engine."""
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _engine_was_never_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of rows come again from test to test."""
    monkeypatch.setattr(endings, "_away", {})


@pytest.fixture
def three(web: App) -> Iterator[App]:
    """The app with three containers."""
    web.replicas = 3
    web.save()
    yield web
    work.stopping.clear()


@pytest.fixture
def world(
    transactional_db: None, data_dir: Path, tmp_path: Path, settings: Settings
) -> Iterator[World]:
    """The real engine with ports, labels and a proxy of this test's own."""
    http_port, https_port, probe_port, api_port, pages_port = free_ports(5)
    settings.MIST_ENGINE = "apps.engine.real"
    settings.MIST_HTTP_PORT = http_port
    settings.MIST_HEALTH_TIMEOUT = 60.0
    settings.MIST_DRAIN_SECONDS = 1.0
    settings.MIST_STOP_TIMEOUT = 3
    settings.MIST_TRUSTED_PROXIES = ["127.0.0.2/32"]
    settings.MIST_ENGINE_CONFIG = EngineConfig(
        instance=unique_instance(),
        data_dir=data_dir,
        bind="127.0.0.1",
        http_port=http_port,
        https_port=https_port,
        probe_port=probe_port,
        proxy_api_port=api_port,
        dashboard_port=pages_port,
        trusted_proxies=("127.0.0.2/32",),
        git_localhost=True,
    )
    get_engine.cache_clear()
    engine = get_engine()
    engine.proxy.ensure_running()
    alice = User.objects.create_superuser("alice@example.com", "correct-horse", name="Alice")
    with serve_git(tmp_path / "git") as git:
        world = World(engine, git, project_create(slug="shop", created_by=alice))
        try:
            yield world
        finally:
            engine.proxy.stop()
            world.sweep()
            get_engine.cache_clear()


@pytest.fixture
def quick_world(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    """Settings for a `Land`: nobody waits, nothing is logged."""
    settings.MIST_HEALTH_TIMEOUT = 0.0
    settings.MIST_KEEP_IMAGES = 1
    settings.MIST_ENGINE = "tests.deployments.processes"
    monkeypatch.setattr(checking, "PROBE_PAUSE", 0.0)
    monkeypatch.setattr(checking, "STOPPING_SECONDS", 0.0)
    monkeypatch.setattr(rolls, "LOOKS", 3)
    monkeypatch.setattr(rolls, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(work, "ASK_ENGINE_SECONDS", 0.0)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
