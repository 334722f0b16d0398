"""Two processes at the same rows: each sees what the other did. On PostgreSQL they really meet
there, on SQLite one waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.deployments import lifecycle
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_cancel, deployment_request
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.projects.services import app_create
from apps.projects.source_models import OnPush

pytestmark = pytest.mark.django_db(transaction=True)
MOMENT = 0.5
T = TypeVar("T")


@contextmanager
def meanwhile(statement: str, other: Callable[[], T]) -> Iterator[list[Future[T]]]:
    """Before the next statement of this thread that holds those words another thread does `other`,
    as far as it gets in a moment."""
    began: list[Future[T]] = []

    def do() -> T:
        try:
            return other()
        finally:
            connection.close()

    def meet(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if not began and statement in sql:
            began.append(threads.submit(do))
            wait(began, MOMENT)
        return execute(sql, *rest)

    with ThreadPoolExecutor() as threads, connection.execute_wrapper(meet):
        yield began
    assert began, f"there was no {statement}"


def claimed(app: App) -> Deployment:
    deployment_request(app=app, requested_by=None)
    found = lifecycle.claim(owner="one", limit=9)
    assert found is not None
    return found


def test_a_push_that_cancels_and_a_deployment_that_goes_live_do_not_wait_for_each_other(
    fake: FakeEngine, web: App
) -> None:
    App.objects.filter(pk=web.pk).update(on_push=OnPush.CANCEL)
    web.refresh_from_db()
    mine = claimed(web)
    Deployment.objects.filter(pk=mine.pk).update(status=Status.SWITCHING)
    mine.refresh_from_db()
    push = {"trigger": Deployment.Trigger.WEBHOOK, "commit": "c" * 40}
    with meanwhile(
        'UPDATE "projects_app"',
        lambda: deployment_request(app=web, requested_by=None, **push),  # type: ignore[arg-type]
    ) as pushed:
        lifecycle.go_live(mine)
    assert pushed[0].result().status == Status.QUEUED
    mine.refresh_from_db()
    assert (mine.status, mine.cancel_requested_at) == (Status.LIVE, None)


@contextmanager
def claimed_meanwhile() -> Iterator[list[Deployment | None]]:
    """A worker takes the next one just before what waits changes; what it got."""
    got: list[Deployment | None] = []
    with meanwhile(
        'UPDATE "deployments_deployment"',
        lambda: got.append(lifecycle.claim(owner="one", limit=9)),
    ):
        yield got


def test_a_cancel_reaches_one_that_is_taken_at_that_moment(
    fake: FakeEngine, web: App, alice: User
) -> None:
    waiting = deployment_request(app=web, requested_by=None)
    with claimed_meanwhile() as claim:
        assert deployment_cancel(deployment=waiting, by=alice)
    waiting.refresh_from_db()
    if claim == [None]:
        assert waiting.status == Status.CANCELLED
    else:
        assert waiting.status == Status.CLONING and waiting.cancel_requested_at is not None


def test_a_newer_request_leaves_alone_what_is_taken_at_that_moment(
    fake: FakeEngine, web: App
) -> None:
    waiting = deployment_request(app=web, requested_by=None)
    with claimed_meanwhile():
        newer = deployment_request(app=web, requested_by=None)
    waiting.refresh_from_db()
    assert newer.status == Status.QUEUED
    assert waiting.status in (Status.SKIPPED, Status.CLONING)


def test_no_more_are_at_work_than_may_be(
    fake: FakeEngine, web: App, shop: Project, alice: User
) -> None:
    address = "https://git.example.com/a.git"
    api = app_create(project=shop, slug="api", repository=address, created_by=alice)
    for app in (web, api):
        deployment_request(app=app, requested_by=None)
    other: list[Deployment | None] = []
    with meanwhile(
        '"id" ASC LIMIT 1',
        lambda: other.append(lifecycle.claim(owner="two", limit=1)),
    ):
        mine = lifecycle.claim(owner="one", limit=1)
    assert [found for found in (mine, *other) if found is not None][1:] == []
    assert Deployment.objects.filter(status=Status.CLONING).count() == 1
