"""Who gets which deployment, and which moves the law allows."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import lifecycle, observation
from apps.deployments.lifecycle import MOVES, Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.queueing import Waiting, waiting
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.errors import EngineUnavailable, InvalidSource
from apps.engine.fake import FakeEngine
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


def test_one_that_waits_knows_why(web: App, api: App, settings: Settings) -> None:
    settings.MIST_CONCURRENT_DEPLOYMENTS = 2
    first = deployment_request(app=web, requested_by=None)
    second = deployment_request(app=web, requested_by=None, ref="v2")
    third = deployment_request(app=api, requested_by=None)
    assert waiting(first) == Waiting(1, "It is taken in a moment.")
    assert waiting(third) == Waiting(3, "2 deployments before this one.")
    assert (claimed := lifecycle.claim(owner="one", limit=2)) == first
    assert claimed is not None and waiting(claimed) is None
    assert waiting(second) == Waiting(
        1, "#1 of this app is cloning; one app is deployed once at a time."
    )
    settings.MIST_CONCURRENT_DEPLOYMENTS = 1
    assert waiting(third) == Waiting(2, "One deployment is at work, as many as may be at once.")


def test_nothing_is_taken_while_the_engine_does_not_answer(web: App, fake: FakeEngine) -> None:
    deployment_request(app=web, requested_by=None)
    fake.containers.fail("list", EngineUnavailable("The Docker engine does not answer."))
    with pytest.raises(EngineUnavailable):
        observation.observe_all()
    assert claim_next() is None
    observation.observe_all()
    assert claim_next() is not None


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
