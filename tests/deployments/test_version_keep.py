"""Which versions of an app are kept, and letting go of the others."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.deployments.models import Deployment, Status
from apps.deployments.retention import (
    DAY,
    Drop,
    Limits,
    Reason,
    Version,
    drop_version,
    kept_versions,
    prune_images,
    versions_to_drop,
)
from apps.deployments.services import deployment_pin, deployment_rollback
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy

NOW = 1_800_000_000.0


def old(pk: int, *, days: float = 0, image: str = "", **facts: bool) -> Version:
    return Version(pk, 1, image or f"image:{pk}", replaced_at=NOW - days * DAY, **facts)


LIVE = Version(9, 1, "image:9", is_live=True)


@pytest.mark.parametrize(
    ("versions", "limits", "dropped"),
    [
        ([], Limits(0), {}),
        ([LIVE], Limits(0, 1), {}),
        ([LIVE, old(8), old(7), old(6)], Limits(2), {6: Reason.NUMBER}),
        ([old(8), old(7)], Limits(1), {7: Reason.NUMBER}),
        ([LIVE, old(8, days=2), old(7, days=31)], Limits(5, 30), {7: Reason.AGE}),
        ([LIVE, old(8, days=900)], Limits(5, 0), {}),
        ([LIVE, old(8), old(7, days=31)], Limits(1, 30), {7: Reason.NUMBER}),
        ([LIVE, old(8, days=99, is_pinned=True)], Limits(0, 1), {}),
        ([LIVE, old(8, days=99, is_wanted=True)], Limits(0, 1), {}),
    ],
)
def test_what_exceeds_number_or_age_goes(
    versions: list[Version], limits: Limits, dropped: dict[int, Reason]
) -> None:
    found = versions_to_drop(versions, limits, now=NOW)
    assert {drop.version.pk: drop.reason for drop in found} == dropped


def test_an_image_that_a_kept_version_runs_stays() -> None:
    back = Version(9, 1, "image:6", is_live=True)
    same, other = old(6), old(5)
    assert versions_to_drop([back, same, other], Limits(0), now=NOW) == [
        Drop(same, Reason.NUMBER, takes_image=False),
        Drop(other, Reason.NUMBER),
    ]


def test_age_counts_from_when_it_was_replaced(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    settings.MIST_KEEP_IMAGES_DAYS = 30
    first, second, _ = deploy(web), deploy(web), deploy(web)
    long_ago = timezone.now() - dt.timedelta(days=400)
    # Both went live long ago; only one of them was also replaced long ago.
    Deployment.objects.filter(pk__in=(first.pk, second.pk)).update(finished_at=long_ago)
    first.refresh_from_db()
    first.stages[Status.LIVE][1] = long_ago.timestamp()
    first.save(update_fields=["stages"])
    prune_images(web)
    assert first.image not in fake.containers.images
    assert second.image in fake.containers.images
    first.refresh_from_db()
    assert not first.can_be_rolled_back_to


def test_a_version_that_has_become_wanted_or_pinned_meanwhile_is_kept(
    fake: FakeEngine, web: App
) -> None:
    first, second, _ = deploy(web), deploy(web), deploy(web)
    decided = {version.pk: version for version in kept_versions()[web.pk]}
    deployment_rollback(to=first, requested_by=None)
    deployment_pin(deployment=second, pinned=True)
    assert [drop_version(decided[row.pk]) for row in (first, second)] == [False, False]
    assert {first.image, second.image} < set(fake.containers.images)
    first.refresh_from_db()
    assert first.can_be_rolled_back_to


def test_nobody_is_offered_a_version_whose_image_is_about_to_go(fake: FakeEngine, web: App) -> None:
    first, _ = deploy(web), deploy(web)
    version = {version.pk: version for version in kept_versions()[web.pk]}[first.pk]
    fake.containers.fail("remove_image", EngineUnavailable("The engine does not answer."))
    with pytest.raises(EngineUnavailable):
        drop_version(version)
    first.refresh_from_db()
    assert not first.can_be_rolled_back_to
