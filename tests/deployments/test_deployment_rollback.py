"""Going back to a version that was live before."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import pipeline, recovery
from apps.deployments.models import Deployment, Status
from apps.deployments.services import (
    NotKept,
    deployment_pin,
    deployment_request,
    deployment_rollback,
)
from apps.deployments.stages import rail
from apps.deployments.tasks import claim_next
from apps.engine.data import ProbeResult
from apps.engine.errors import StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import variables_save
from tests.deployments.test_deployment_run import deploy, serving

SECRET = "hunter2-hunter2"


def roll_back(to: Deployment, *, old_variables: bool = False) -> Deployment:
    requested = deployment_rollback(to=to, requested_by=None, old_variables=old_variables)
    claimed = claim_next()
    assert claimed is not None and claimed.pk == requested.pk
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def env(fake: FakeEngine, deployment: Deployment) -> dict[str, str]:
    return dict(fake.containers.specs[deployment.container_id].env)


def test_it_runs_the_kept_image_without_clone_or_build(fake: FakeEngine, web: App) -> None:
    first, second = deploy(web), None
    fake.git.commit("Second version")
    second = deploy(web)
    fake.calls.clear()
    back = roll_back(first)
    assert (back.status, back.image, back.commit) == (Status.LIVE, first.image, first.commit)
    assert not {"fetch", "checkout", "build"} & {step for _, step, _ in fake.calls}
    assert serving(fake, web) == f"{back.service}@docker"
    assert list(fake.containers.all) == [back.container_id]
    second.refresh_from_db()
    assert second.status == Status.RETIRED and second.can_be_rolled_back_to
    states = {stage.key: stage.state for stage in rail(back, now=0)}
    assert (states["cloning"], states["building"], states["live"]) == ("skipped", "skipped", "done")


def test_variables_are_those_of_now_or_those_of_then(fake: FakeEngine, web: App) -> None:
    variables_save(app=web, values={"MODE": "then", "GONE": "x"}, changed_by=None)
    first = deploy(web)
    variables_save(app=web, values={"MODE": "now"}, changed_by=None, remove_others=True)
    deploy(web)
    back = roll_back(first)
    assert env(fake, back)["MODE"] == "now" and "GONE" not in env(fake, back)
    back = roll_back(first, old_variables=True)
    assert (env(fake, back)["MODE"], env(fake, back)["GONE"]) == ("then", "x")


def test_old_variables_are_a_difference_that_can_be_applied(
    fake: FakeEngine, web: App, client: Client, alice: User
) -> None:
    variables_save(app=web, values={"MODE": SECRET}, changed_by=None)
    first = deploy(web)
    variables_save(app=web, values={"MODE": "now-now-now"}, changed_by=None)
    deploy(web)
    client.force_login(alice)
    assert "MODE" not in client.get("/projects/shop/apps/web/").content.decode()
    roll_back(first, old_variables=True)
    page = client.get("/projects/shop/apps/web/").content.decode()
    assert "MODE" in page and SECRET not in page


def test_the_version_serves_on_when_the_older_one_does_not_come_up(
    fake: FakeEngine, web: App
) -> None:
    first, second = deploy(web), deploy(web)
    fake.containers.fail("start", StartFailed("The image is gone."))
    failed = roll_back(first)
    assert (failed.status, failed.failed_stage) == (Status.FAILED, Status.STARTING)
    assert serving(fake, web) == f"{second.service}@docker"
    assert first.image in fake.containers.images
    first.refresh_from_db()
    assert first.can_be_rolled_back_to


def test_a_rollback_has_the_same_health_gate(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    first, second = deploy(web), deploy(web)
    settings.MIST_HEALTH_TIMEOUT = 0.0
    App.objects.filter(pk=web.pk).update(health_attempts=1)
    fake.proxy.answers = [ProbeResult(500, 1.0, "HTTP 500")]
    failed = roll_back(first)
    assert (failed.status, failed.failed_stage) == (Status.FAILED, Status.CHECKING)
    assert serving(fake, web) == f"{second.service}@docker"
    assert list(fake.containers.all) == [second.container_id]
    assert first.image in fake.containers.images


def test_what_was_never_live_or_is_not_kept_cannot_be_rolled_back_to(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    settings.MIST_KEEP_IMAGES = 1
    first = deploy(web)
    live = [deploy(web) for _ in range(3)][-1]
    waiting = deployment_request(app=web, requested_by=None)
    for other in (first, live, waiting):
        with pytest.raises(NotKept):
            deployment_rollback(to=other, requested_by=None)


def test_a_pinned_image_is_kept(fake: FakeEngine, web: App, settings: Settings) -> None:
    settings.MIST_KEEP_IMAGES = 1
    first = deploy(web)
    deployment_pin(deployment=first, pinned=True)
    second = deploy(web)
    for _ in range(2):
        deploy(web)
    assert first.image in fake.containers.images
    assert second.image not in fake.containers.images
    second.refresh_from_db()
    assert (second.made_from, second.variables) == (None, "")
    deployment_pin(deployment=first, pinned=False)
    deploy(web)
    assert first.image not in fake.containers.images


def test_an_image_that_two_deployments_run_is_kept_for_the_later(
    fake: FakeEngine, web: App, settings: Settings
) -> None:
    settings.MIST_KEEP_IMAGES = 1
    first = deploy(web)
    deploy(web)
    back = roll_back(first)
    deploy(web)
    first.refresh_from_db()
    back.refresh_from_db()
    assert first.image == "" and back.can_be_rolled_back_to
    assert back.image in fake.containers.images


def test_a_killed_rollback_keeps_its_image_and_goes_on(fake: FakeEngine, web: App) -> None:
    first = deploy(web)
    deploy(web)
    deployment_rollback(to=first, requested_by=None)
    claimed = claim_next()
    assert claimed is not None and claimed.status == Status.STARTING
    Deployment.objects.filter(pk=claimed.pk).update(owner="dead")
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    again = claim_next()
    assert again is not None and again.image == first.image
    pipeline.run(again)
    assert Deployment.objects.get(pk=again.pk).status == Status.LIVE


def test_the_page_asks_and_names_what_differs_but_no_value(
    fake: FakeEngine, web: App, client: Client, alice: User, data_dir: Path
) -> None:
    variables_save(app=web, values={"MODE": SECRET, "SAME": "same"}, changed_by=None)
    first = deploy(web)
    variables_save(app=web, values={"MODE": "now-now-now"}, changed_by=None)
    deploy(web)
    client.force_login(alice)
    url = f"/projects/shop/apps/web/deployments/{first.number}/"
    page = client.get(url).content.decode()
    assert f"Roll back to #{first.number}" in page
    for headers in ({}, {"HX-Request": "true"}):
        question = client.get(f"{url}rollback/", headers=headers).content.decode()
        assert "MODE" in question and "SAME" not in question
        assert SECRET not in question and "now-now-now" not in question
    answer = client.post(f"{url}rollback/", {"variables": "then"})
    made = Deployment.objects.first()
    assert made is not None and made.takes_old_variables and made.requested_by == alice
    assert answer["Location"] == f"/projects/shop/apps/web/deployments/{made.number}/"
    assert "Image of" in client.get(answer["Location"]).content.decode()
    assert "Roll back" in client.get("/projects/shop/apps/web/deployments/").content.decode()


def test_the_page_says_when_it_is_too_late(
    fake: FakeEngine, web: App, client: Client, alice: User
) -> None:
    live = deploy(web)
    client.force_login(alice)
    url = f"/projects/shop/apps/web/deployments/{live.number}/"
    assert "Roll back" not in client.get(url).content.decode()
    for answer in (
        client.get(f"{url}rollback/", follow=True),
        client.post(f"{url}rollback/", follow=True),
    ):
        assert "no longer kept" in answer.content.decode()
    assert Deployment.objects.count() == 1
    assert client.post(f"{url}pin/", {"pinned": "on"}, follow=True).status_code == 200
    assert Deployment.objects.get().is_pinned
