"""What the version of Mist before left midway, when containers are replaced one by one."""

from __future__ import annotations

import importlib

from django.apps import apps
from django.utils import timezone

from apps.deployments import recovery
from apps.deployments.models import Deployment, Status
from apps.engine.errors import StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.rolled import Visitors, at_rest, fail_at
from tests.deployments.test_deployment_run import deploy
from tests.deployments.test_rolling_interrupt import killed_at

upgrade = importlib.import_module("apps.deployments.migrations.0014_index_rolls")


def test_one_that_was_going_back_goes_on_with_that(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 3, "start", StartFailed("No."))
    second = killed_at(fake, three, 1, "resume", back=True)
    was = {"status": "switching", "failed_stage": "", "failure": "", "finished_at": None}
    why = {"why": "The disk is full."}
    Deployment.objects.filter(pk=second.pk).update(**was, roll=(second.roll or {}) | why)
    upgrade.end_those_that_go_back(apps, None)
    recovery.recover_abandoned(owner="another", alone=True)
    second.refresh_from_db()
    assert (second.status, second.failure) == (Status.FAILED, "The disk is full.")
    assert second.finished_at is not None
    seen.meet(3, 4)
    at_rest(fake, first)


def test_one_whose_requests_were_still_in_progress_touches_nothing_else(
    fake: FakeEngine, three: App
) -> None:
    first = deploy(three)
    over = {"number": 2, "ref": "main", "port": 8000, "finished_at": timezone.now()}
    Deployment.objects.create(
        app=three, status=Status.CANCELLED, roll={"serving": [], "of": 3}, **over
    )
    upgrade.end_those_that_go_back(apps, None)
    fake.calls.clear()
    recovery.recover_abandoned(owner="another", alone=True)
    assert not [call for call in fake.calls if call[1] in ("stop", "remove")]
    at_rest(fake, first)
