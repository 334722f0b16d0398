"""What fails on the way back of a version that took over one by one."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from apps.deployments import lifecycle, observation, reconciliation, recovery
from apps.deployments.models import Deployment, Status
from apps.deployments.queueing import Waiting, waiting
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.errors import EngineAway, EngineUnavailable, StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.rolled import Visitors, at_rest, fail_at, log, reached, running
from tests.deployments.test_deployment_run import deploy

NOBODY = Waiting(0, "")


def test_those_that_made_way_are_not_missed_until_they_are_back(
    fake: FakeEngine, three: App
) -> None:
    deploy(three)
    seen: list[tuple[bool, bool, str]] = []

    def look() -> None:
        assert Deployment.objects.get(number=2).is_going_back
        seen.append(
            (observation.observe_all(), *App.objects.values_list("needs_apply", "observed").get())
        )

    fail_at(fake, 2, "start", StartFailed("No."))
    fail_at(fake, 1, "resume", look)
    assert deploy(three).status == Status.FAILED
    assert seen == [(False, False, App.Observed.RUNNING)]


def test_one_that_cannot_come_back_now_is_tried_until_it_does(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    fail_at(fake, 2, "start", StartFailed("No."))
    fake.containers.fail("start", StartFailed("Not now."))
    fake.containers.fail("resume", StartFailed("Not now."))
    second = deploy(three)
    assert second.status == Status.FAILED
    assert "Container 1 of #1 is not back yet. Not now." in log(second)
    assert len(reached(fake, three)) == 2
    fake.calls.clear()
    reconciliation.apply_wishes()
    at_rest(fake, first)
    assert not [call for call in fake.calls if call[1] == "stop"]  # the others stay as they are


def test_one_that_failed_and_goes_back_is_what_the_next_one_waits_for(
    fake: FakeEngine, three: App
) -> None:
    deploy(three)
    fail_at(fake, 3, "start", StartFailed("No."))
    fake.containers.fail("remove", EngineUnavailable("It is refused."))
    deploy(three)
    third = deployment_request(app=three, requested_by=None)
    assert claim_next() is None
    said = "#2 of this app failed and gives its place back first."
    assert (waiting(third) or NOBODY).reason == said


REFUSALS = [EngineUnavailable("It is refused."), EngineAway("It takes too long."), RuntimeError()]


@pytest.mark.parametrize("error", REFUSALS)
def test_what_fails_once_on_the_way_back_is_tried_again(
    fake: FakeEngine, three: App, error: Exception
) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 3, "start", StartFailed("No."))
    fake.containers.fail("remove", error)
    second = deploy(three)
    assert second.is_going_back and "This is tried again in a moment" in log(second)
    recovery.recover_abandoned(owner="another", alone=True)
    seen.meet(3, 4)
    at_rest(fake, first)


def test_no_way_back_is_given_up_while_the_engine_is_away(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 3, "start", StartFailed("No."))
    away = EngineAway("The Docker engine does not answer.")
    for _ in range(6):
        fake.containers.fail("remove", away)
        fake.containers.fail("info", away)
    second = deploy(three)
    for _ in range(6):
        recovery.recover_abandoned(owner="another", alone=True)
    assert "tried again" not in log(second)
    seen.meet(3, 4)
    at_rest(fake, first)


@pytest.mark.parametrize("error", REFUSALS)
def test_what_a_way_back_cannot_do_keeps_nobody_from_deploying(
    fake: FakeEngine, three: App, error: Exception
) -> None:
    first = deploy(three)
    fail_at(fake, 3, "start", StartFailed("No."))
    for _ in range(3):
        fake.containers.fail("remove", error)
    second = deploy(three)
    for _ in range(2):
        assert second.is_going_back
        recovery.recover_abandoned(owner="another", alone=True)
        second.refresh_from_db()
    assert (second.status, second.roll) == (Status.FAILED, None)
    assert "Mist goes on trying" in log(second)
    # Nobody is led to what is gone.
    assert all(one in running(fake) for one in reached(fake, three))
    reconciliation.apply_wishes()
    at_rest(fake, first)
    third = deploy(three)
    assert third.status == Status.LIVE
    at_rest(fake, third)


def test_what_is_over_is_noted_also_after_the_database_failed(
    fake: FakeEngine, three: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deploy(three)

    def locked(deployment: Deployment) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(lifecycle, "is_over", locked)
        fail_at(fake, 2, "start", StartFailed("No."))
        second = deploy(three)
    assert (second.is_leaving, second.image) == (True, "")
    recovery.recover_abandoned(owner="another", alone=True)
    second.refresh_from_db()
    assert (second.roll, second.made_from, second.variables) == (None, None, "")
    at_rest(fake, first)


def test_one_that_cannot_be_taken_away_keeps_none_of_the_others(
    fake: FakeEngine, three: App
) -> None:
    deploy(three)
    fail_at(fake, 3, "start", StartFailed("No."))
    # The first one goes to make room on the way back.
    fail_at(fake, 3, "stop", EngineUnavailable("It is refused."))
    second = deploy(three)
    assert second.is_leaving
    of = [c for c in running(fake) if c.labels["mist.deployment"] == str(second.pk)]
    assert len(of) == 1


def test_what_cannot_be_taken_away_now_is_tried_until_it_is(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    fail_at(fake, 2, "start", StartFailed("No."))
    fail_at(fake, 2, "stop", EngineUnavailable("It is refused."))
    second = deploy(three)
    assert (second.is_leaving, second.owner) == (True, "")
    three.refresh_from_db()
    assert not three.needs_apply and set(first.container_ids) < set(fake.containers.all)
    deployment_request(app=three, requested_by=None)
    assert claim_next() is not None
    recovery.recover_abandoned(owner="another", alone=True)
    second.refresh_from_db()
    assert second.roll is None and not second.is_told_on
