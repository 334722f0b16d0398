"""A clean-up where the database takes nothing: the disk may be full, and this is what makes room."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.storage import cleaning, tasks
from apps.storage.models import CleanUp
from apps.storage.services import cleanup_request
from tests.deployments.test_deployment_run import deploy
from tests.storage.test_cleanup_run import litter, run

pytestmark = pytest.mark.django_db(transaction=True)
FULL = OperationalError("database or disk is full")
CHANGES = ("INSERT", "UPDATE", "DELETE")


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (tasks.clean_up, tasks.survey_storage):
        monkeypatch.setattr(task, "delay", lambda: None)


@contextmanager
def full_disk(until: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """No row changes before `until` is true."""

    def refuse(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith(CHANGES) and not until():
            raise FULL
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        yield


def test_the_command_makes_the_room_that_its_own_row_needs(
    fake: FakeEngine, web: App, data_dir: Path, settings: Settings
) -> None:
    old = [deploy(web) for _ in range(3)]
    settings.MIST_KEEP_IMAGES = 1
    litter(fake, data_dir)
    with full_disk(until=lambda: not (data_dir / "builds/99").exists()):
        told = run()
    assert "Removed: 2 images, 1 network, 1 checkout" in told
    assert old[0].image not in fake.containers.images
    assert not (data_dir / "builds/99").exists()
    assert CleanUp.objects.get().status == CleanUp.Status.DONE


def test_one_that_waits_does_what_needs_no_row_and_says_what_is_left(
    fake: FakeEngine, web: App, data_dir: Path, settings: Settings
) -> None:
    old, _ = deploy(web), deploy(web)
    settings.MIST_KEEP_IMAGES = 0
    litter(fake, data_dir)
    row = cleanup_request(requested_by=None)
    with full_disk(), contextlib.suppress(OperationalError):
        cleaning.clean_waiting()
    assert not (data_dir / "builds/99").exists()
    assert old.image in fake.containers.images
    assert Deployment.objects.get(pk=old.pk).image == old.image
    # What its row could not be told is caught up with.
    cleaning.clean_waiting()
    row.refresh_from_db()
    assert row.status == CleanUp.Status.DONE and old.image not in fake.containers.images


def test_the_button_begins_anew_where_one_died(fake: FakeEngine, alice: User) -> None:
    dead = CleanUp.objects.create(trigger=CleanUp.Trigger.BUTTON, status=CleanUp.Status.RUNNING)
    mine = cleanup_request(requested_by=alice)
    assert mine != dead and mine == cleanup_request(requested_by=alice)
    cleaning.clean_waiting()
    states = dict(CleanUp.objects.values_list("pk", "status"))
    assert states == {dead.pk: CleanUp.Status.FAILED, mine.pk: CleanUp.Status.DONE}


def test_the_button_joins_one_that_is_at_work(fake: FakeEngine, alice: User) -> None:
    living = CleanUp.objects.create(trigger=CleanUp.Trigger.BUTTON, status=CleanUp.Status.RUNNING)
    with cleaning.cleaning_lock():
        assert cleanup_request(requested_by=alice) == living


def test_a_redis_that_is_gone_keeps_no_page_away(
    fake: FakeEngine, alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise ConnectionError("Redis is gone")

    for task in (tasks.clean_up, tasks.survey_storage):
        monkeypatch.setattr(task, "delay", gone)
    client.force_login(alice)
    assert client.get("/storage/").status_code == 200
    assert client.post("/storage/clean/").status_code == 302
    # The schedule takes it up.
    cleaning.tidy()
    assert CleanUp.objects.get().status == CleanUp.Status.DONE
