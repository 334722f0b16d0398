"""Who gets which deployment, and which moves the law allows."""

from __future__ import annotations

import pytest

from apps.accounts.models import User
from apps.deployments import lifecycle
from apps.deployments.lifecycle import MOVES, Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_request
from apps.engine.errors import InvalidSource
from apps.projects.models import App, Project
from apps.projects.services import app_create


@pytest.fixture
def api(shop: Project, alice: User) -> App:
    return app_create(
        project=shop, slug="api", repository="https://git.example.com/a.git", created_by=alice
    )


def test_the_oldest_is_taken_first(web: App, api: App) -> None:
    first = deployment_request(app=web, requested_by=None)
    deployment_request(app=api, requested_by=None)
    assert lifecycle.claim(owner="one", limit=2) == first


def test_one_app_is_never_deployed_twice_at_once(web: App) -> None:
    deployment_request(app=web, requested_by=None, ref="main")
    deployment_request(app=web, requested_by=None, ref="v2")
    assert lifecycle.claim(owner="one", limit=9) is not None
    assert lifecycle.claim(owner="two", limit=9) is None


def test_different_apps_are_deployed_at_once_up_to_the_limit(web: App, api: App) -> None:
    for app in (web, api):
        deployment_request(app=app, requested_by=None)
    assert lifecycle.claim(owner="one", limit=1) is not None
    assert lifecycle.claim(owner="one", limit=1) is None
    assert lifecycle.claim(owner="one", limit=2) is not None


def test_a_newer_request_for_the_same_ref_takes_the_place_of_one_that_waits(web: App) -> None:
    first = deployment_request(app=web, requested_by=None)
    other = deployment_request(app=web, requested_by=None, ref="v2")
    second = deployment_request(app=web, requested_by=None)
    states = dict(Deployment.objects.values_list("pk", "status"))
    assert states == {
        first.pk: Status.SKIPPED,
        other.pk: Status.QUEUED,
        second.pk: Status.QUEUED,
    }


def test_a_ref_that_is_an_option_is_refused(web: App) -> None:
    with pytest.raises(InvalidSource):
        deployment_request(app=web, requested_by=None, ref="--upload-pack=id")
    assert not Deployment.objects.exists()


def test_of_two_writers_one_wins(web: App) -> None:
    deployment_request(app=web, requested_by=None)
    mine, theirs = Deployment.objects.get(), Deployment.objects.get()
    lifecycle.move(mine, Status.CLONING)
    with pytest.raises(Overtaken):
        lifecycle.move(theirs, Status.CANCELLED)


@pytest.mark.parametrize("end", [Status.RETIRED, Status.FAILED, Status.CANCELLED, Status.SKIPPED])
def test_an_end_is_an_end(end: Status) -> None:
    assert MOVES.get(end, frozenset()) == frozenset()


def test_a_waiting_deployment_is_cancelled_at_once(web: App, alice: User) -> None:
    waiting = deployment_request(app=web, requested_by=None)
    assert lifecycle.cancel(waiting, by=alice)
    waiting.refresh_from_db()
    assert waiting.status == Status.CANCELLED
    assert not lifecycle.cancel(waiting, by=alice)
