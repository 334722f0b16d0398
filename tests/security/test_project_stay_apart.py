"""Things of one project are not reached by way of another's address, nor by who belongs to neither."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.test import Client

from apps.accounts.models import User
from apps.deployments.logs import log_path
from apps.deployments.models import Deployment, Status
from apps.domains.services import domain_add
from apps.engine.fake import FakeEngine
from apps.projects import services
from apps.projects.models import App, Membership, ProjectRole
from tests.live.test_page_socket import Pages, grew, heard, read_until, write


@dataclass
class Two:
    """Of project `shop` bob is an admin; in `other` is what he may not have."""

    client: Client
    foreign: App
    keys: dict[str, int]


@pytest.fixture
def two(fake: FakeEngine, web: App, alice: User, client: Client) -> Two:
    bob = User.objects.create_user("bob@example.com", name="Bob")
    Membership.objects.create(project=web.project, user=bob, role=ProjectRole.ADMIN)
    other = services.project_create(slug="other", created_by=alice)
    app = services.app_create(
        project=other,
        slug="api",
        repository="https://git.example.com/o/a",
        created_by=alice,
        port=1,
    )
    services.variables_save(app=app, values={"TOKEN": "s3cret-value"}, changed_by=alice)
    services.volume_add(app=app, name="data", path="/data", created_by=alice)
    port = services.host_port_add(
        app=app, port=25_565, protocol="tcp", container_port=1, reach="local", created_by=alice
    )
    domain = domain_add(app=app, host="api.example.com", created_by=alice)
    Deployment.objects.create(app=app, number=7, ref="main", status=Status.LIVE, requested_by=alice)
    client.force_login(bob)
    keys = {
        "variable": app.variables.get().pk,
        "volume": app.volumes.get().pk,
        "port": port.pk,
        "domain": domain.pk,
    }
    return Two(client, app, keys)


NESTED = [
    "environment/{variable}/reveal/",
    "environment/{variable}/delete/",
    "settings/volumes/{volume}/remove/",
    "settings/ports/{port}/remove/",
    "domains/{domain}/delete/",
    "deployments/7/",
    "deployments/7/rollback/",
    "deployments/7/pin/",
    "deployments/7/cancel/",
    "deployments/7/log.txt",
    "deployments/7/log/",
    "deployments/7/log/search/?q=a",
]
FOREIGN = [
    "", "settings/", "environment/", "domains/", "logs/", "logs/text/", "logs/chunk/", "metrics/",
    "metrics/data/", "deployments/", "deploy/", "apply/", "stop/", "start/", "restart/", "delete/",
]  # fmt: skip


@pytest.mark.parametrize("path", NESTED)
@pytest.mark.parametrize("way", ["/projects/shop/apps/web/", "/projects/other/apps/api/", "/projects/shop/apps/api/"])  # fmt: skip
def test_a_foreign_id_is_not_found_under_ones_own_address(two: Two, way: str, path: str) -> None:
    for method in ("get", "post"):
        answer = getattr(two.client, method)(way + path.format(**two.keys))
        assert answer.status_code in (404, 405), method
        assert "s3cret" not in answer.content.decode()
    assert two.foreign.variables.get().value == "s3cret-value"
    assert two.foreign.volumes.exists() and two.foreign.host_ports.exists()
    assert two.foreign.domains.exists()
    assert Deployment.objects.get(app=two.foreign).status == Status.LIVE


@pytest.mark.parametrize("path", FOREIGN)
def test_an_app_of_another_project_does_not_exist(two: Two, path: str) -> None:
    for project in ("other", "shop"):
        for method in ("get", "post"):
            answer = getattr(two.client, method)(f"/projects/{project}/apps/api/{path}")
            assert answer.status_code in (404, 405)


@pytest.mark.parametrize("field", ["variable", "pk", "id", "app", "project", "app_id"])
def test_a_foreign_id_in_a_form_changes_nothing_there(two: Two, field: str) -> None:
    before = two.foreign.variables.get()
    for key in (two.keys["variable"], two.foreign.pk, two.foreign.project_id):
        form = {"name": "TOKEN", "value": "taken", "when": "runtime", field: str(key)}
        two.client.post("/projects/shop/apps/web/environment/save/", form)
        two.client.post(
            "/projects/shop/apps/web/domains/", {"host": "b.example.com", field: str(key)}
        )
    after = two.foreign.variables.get()
    assert (after.value, after.app_id) == (before.value, before.app_id)
    assert [domain.host for domain in two.foreign.domains.all()] == ["api.example.com"]


@pytest.fixture
async def viewer(client: Client, web: App) -> AsyncIterator[Pages]:
    user = await database_sync_to_async(User.objects.create_user)("v@example.com", name="V")
    await database_sync_to_async(Membership.objects.create)(
        project=web.project, user=user, role=ProjectRole.VIEWER
    )
    await sync_to_async(client.force_login)(user)
    pages = Pages(client)
    yield pages
    for socket in pages.opened:
        await socket.disconnect()


@pytest.fixture
def logged(data_dir: Path, web: App) -> Deployment:
    made = Deployment.objects.create(app=web, number=1, ref="main", status=Status.BUILDING)
    log_path(made.pk).parent.mkdir(parents=True, exist_ok=True)
    write(made, 1)
    return made


ADDRESS = "/projects/shop/apps/web/deployments/1/"


@pytest.mark.django_db(transaction=True)
async def test_a_log_streams_to_nobody_who_has_no_part_in_the_project(
    client: Client, logged: Deployment
) -> None:
    stranger = await database_sync_to_async(User.objects.create_user)("s@example.com", name="S")
    nobody = Pages(Client())
    assert await nobody.open(ADDRESS, log_offset=0) is None
    await sync_to_async(client.force_login)(stranger)
    for path in (
        ADDRESS,
        "/projects/shop/",
        "/projects/shop/apps/web/",
        "/projects/shop/apps/web/logs/",
    ):
        assert await Pages(client).open(path, log_offset=0, output_at="0") is None


@pytest.mark.django_db(transaction=True)
async def test_a_log_does_not_stream_to_a_viewer(viewer: Pages, logged: Deployment) -> None:
    socket = await viewer.open(ADDRESS, log_offset=0)
    assert "log" not in await _frames(socket)
    write(logged, 2)
    await grew(logged)
    assert socket is not None and await socket.receive_nothing(0.3)
    assert await viewer.open("/projects/shop/apps/web/logs/", output_at="0") is None


async def _frames(socket: object) -> set[str]:
    """Names of what comes at first."""
    assert await heard(socket, "html")  # type: ignore[arg-type]
    names: set[str] = set()
    while not await socket.receive_nothing(0.3):  # type: ignore[attr-defined]
        names |= set(await socket.receive_json_from())  # type: ignore[attr-defined]
    return names


@pytest.mark.django_db(transaction=True)
async def test_a_developer_gets_the_stream_that_the_others_do_not(
    viewer: Pages, logged: Deployment
) -> None:
    await database_sync_to_async(Membership.objects.update)(role=ProjectRole.DEVELOPER)
    assert await read_until(await viewer.open(ADDRESS, log_offset=0), 1)
