from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from apps.domains import tasks
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_create, project_create
from tests.deployments.test_deployment_run import deploy
from tests.machine.dns_host import DnsHost, serve_dns

SERVER4, SERVER6 = "203.0.113.7", "2001:db8::7"


@pytest.fixture
def dns_host(settings: Settings) -> Iterator[DnsHost]:
    """The DNS that Mist asks; the server has one address of each kind."""
    settings.MIST_PUBLIC_ADDRESSES = [SERVER4, SERVER6]
    with serve_dns() as host:
        host.zones.add("example.com")
        settings.MIST_DNS_SERVERS = [host.server]
        yield host


@pytest.fixture(autouse=True)
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that somebody is to ask the DNS for: nobody does but the test."""
    names: list[str] = []
    monkeypatch.setattr(tasks.check_name, "delay", names.append)
    return names


@pytest.fixture
def live(fake: FakeEngine, web: App) -> App:
    deploy(web)
    return web


@pytest.fixture
def foreign() -> App:
    return app_create(
        project=project_create(slug="rival", created_by=None),
        slug="web",
        repository="https://e.example/r",
        created_by=None,
    )
