"""Deployments of ready images, on the fake engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apps.accounts.models import User
from apps.deployments import observation, pipeline, reconciliation
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import (
    changes_apply,
    deployment_cancel,
    deployment_request,
    deployment_rollback,
)
from apps.deployments.stages import rail
from apps.deployments.tasks import claim_next
from apps.engine.errors import (
    EngineAway,
    InvalidSource,
    OutOfDisk,
    RegistryDenied,
    RegistryUnreachable,
)
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.projects.services import app_create, app_update, project_create, variables_save
from apps.projects.source_models import PullPolicy, SourceKind
from apps.sources.models import RegistryCredential
from apps.storage.inventory import plan_now, take_inventory
from apps.storage.planning import Kind

SHOP = "ghcr.io/halden/shop"
DOWN = RegistryUnreachable("ghcr.io does not answer.")


@pytest.fixture(autouse=True)
def _unhurried() -> Iterator[None]:
    yield
    observation._not_before.clear()
    reconciliation._not_before.clear()


@pytest.fixture
def ready(shop: Project) -> App:
    return image_app(shop, "ready")


def image_app(project: Project, slug: str, image: str = f"{SHOP}:1.0", **settings: Any) -> App:
    return app_create(
        project=project,
        slug=slug,
        repository="",
        created_by=None,
        source_kind=SourceKind.IMAGE,
        image_name=image,
        **settings,
    )


def run_next() -> Deployment:
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def deploy(app: App, ref: str = "", *, image: str = "") -> Deployment:
    deployment_request(app=app, requested_by=None, ref=ref, image=image)
    return run_next()


def said(deployment: Deployment) -> str:
    return "\n".join(plain_text(log_path(deployment.pk)))


def test_it_goes_live_with_the_digest_that_the_tag_meant(fake: FakeEngine, ready: App) -> None:
    digest = fake.containers.publish(f"{SHOP}:1.0", "one", ports=(3000,))
    done = deploy(ready)
    assert (done.status, done.failure) == (Status.LIVE, "")
    assert (done.ref, done.commit, done.port) == ("1.0", "", 3000)
    assert (done.wanted_image, done.pulled_image) == (f"{SHOP}:1.0", f"{SHOP}@{digest}")
    assert fake.containers.specs[done.container_id].image == done.image
    in_time = sorted(done.stages, key=lambda stage: float(done.stages[stage][0]))
    assert in_time == ["pulling", "starting", "checking", "switching", "live"]
    assert [stage.key for stage in rail(done, now=0)] == ["queued", *in_time]
    assert not {"fetch", "checkout", "build"} & {step for _, step, _ in fake.calls}
    assert f"Pulling {SHOP}:1.0" in said(done) and f"At {SHOP}@{digest}" in said(done)
    assert "Clon" not in said(done) and "Build" not in said(done)


def test_a_tag_that_has_moved_is_deployed_and_a_rollback_runs_the_older_image(
    fake: FakeEngine, ready: App
) -> None:
    old = fake.containers.publish(f"{SHOP}:1.0", "one")
    first = deploy(ready)
    new = fake.containers.publish(f"{SHOP}:1.0", "two")
    second = deploy(ready)
    assert [one.pulled_image for one in (first, second)] == [f"{SHOP}@{old}", f"{SHOP}@{new}"]
    fake.containers.fail("pull", DOWN, times=9)
    deployment_rollback(to=first, requested_by=None)
    back = run_next()
    assert (back.status, back.pulled_image) == (Status.LIVE, f"{SHOP}@{old}")
    assert fake.containers.specs[back.container_id].image == first.image
    assert f"Rolling back to #1, {SHOP}@{old}" in said(back)
    assert {s.key: s.state for s in rail(back, now=0)}["pulling"] == "skipped"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RegistryDenied("ghcr.io refused the login of bob."), "refused the login"),
        (DOWN, "does not answer"),
        (OutOfDisk("The server ran out of disk space during the pull."), "disk space"),
    ],
)
def test_the_old_version_serves_on_when_the_pull_fails(
    fake: FakeEngine, ready: App, error: Exception, says: str
) -> None:
    fake.containers.publish(f"{SHOP}:1.0", "one")
    first = deploy(ready)
    fake.containers.fail("pull", error)
    failed = deploy(ready)
    assert (failed.status, failed.failed_stage) == (Status.FAILED, Status.PULLING)
    assert says in failed.failure and failed.image == ""
    assert list(fake.containers.all) == [first.container_id]
    assert [s.name for s in rail(failed, now=0) if s.state == "failed"] == ["Pull"]


def test_a_cancelled_pull_leaves_no_image(fake: FakeEngine, ready: App, alice: User) -> None:
    fake.containers.publish(f"{SHOP}:1.0", "one")
    requested = deployment_request(app=ready, requested_by=alice)
    fake.containers.fail("pull", lambda: deployment_cancel(deployment=requested, by=alice))
    done = run_next()
    assert (done.status, done.failed_stage) == (Status.CANCELLED, Status.PULLING)
    assert fake.containers.images == {}


def test_an_engine_that_goes_away_begins_the_pull_again(fake: FakeEngine, ready: App) -> None:
    fake.containers.publish(f"{SHOP}:1.0", "one")
    fake.containers.fail("pull", EngineAway("The Docker engine went away."))
    deployment_request(app=ready, requested_by=None)
    assert run_next().status == Status.QUEUED
    assert run_next().status == Status.LIVE


@pytest.mark.parametrize("version", ["2.0", "sha256:" + "5" * 64])
def test_another_tag_or_digest_of_the_image_can_be_deployed(
    fake: FakeEngine, ready: App, version: str
) -> None:
    digest = fake.containers.publish(f"{SHOP}:2.0", "two")
    fake.containers.published[f"{SHOP}@sha256:{'5' * 64}"] = (80,)
    done = deploy(ready, version)
    assert (done.status, done.ref) == (Status.LIVE, version)
    wanted = digest if version == "2.0" else version
    assert done.pulled_image == f"{SHOP}@{wanted}"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"image": "ghcr.io/halden/other:1.0"}, "another image"),
        ({"ref": "no tag"}, "A tag has letters"),
        ({"ref": "1.0\n"}, "A tag has letters"),
        ({"commit": "a" * 40}, "no commits"),
    ],
)
def test_what_is_no_version_of_the_image_is_refused(
    fake: FakeEngine, ready: App, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidSource, match=says):
        deployment_request(app=ready, requested_by=None, **given)
    assert not Deployment.objects.exists()


def test_an_app_of_code_deploys_no_image(fake: FakeEngine, web: App) -> None:
    with pytest.raises(InvalidSource, match="built from code"):
        deployment_request(app=web, requested_by=None, image="nginx:1.27")


def test_changed_variables_are_applied_to_the_image_that_is_live(
    fake: FakeEngine, ready: App
) -> None:
    digest = fake.containers.publish(f"{SHOP}:1.0", "one")
    deploy(ready)
    fake.containers.publish(f"{SHOP}:1.0", "two")
    variables_save(app=ready, values={"MODE": "now"}, changed_by=None)
    changes_apply(app=ready, requested_by=None)
    done = run_next()
    assert (done.status, done.ref, done.pulled_image) == (Status.LIVE, "1.0", f"{SHOP}@{digest}")
    assert fake.containers.specs[done.container_id].env["MODE"] == "now"


def test_another_image_as_source_is_what_applying_deploys(fake: FakeEngine, ready: App) -> None:
    fake.containers.publish(f"{SHOP}:1.0", "one")
    deploy(ready)
    digest = fake.containers.publish("nginx:1.27", "web server")
    app_update(app=ready, image_name="nginx:1.27")
    changes_apply(app=ready, requested_by=None)
    done = run_next()
    assert done.pulled_image == f"docker.io/library/nginx@{digest}"
    assert done.title == "nginx:1.27"


def test_an_image_removed_by_hand_is_pulled_again_by_its_digest(
    fake: FakeEngine, ready: App
) -> None:
    digest = fake.containers.publish(f"{SHOP}:1.0", "one")
    live = deploy(ready)
    fake.containers.publish(f"{SHOP}:1.0", "two")
    fake.containers.remove(live.container_id)
    fake.containers.remove_image(live.image)
    observation.observe_all()
    reconciliation.apply_wishes()
    repaired = run_next()
    assert repaired.trigger == Deployment.Trigger.REPAIR
    assert (repaired.status, repaired.pulled_image) == (Status.LIVE, f"{SHOP}@{digest}")
    assert repaired.wanted_image == f"{SHOP}:1.0@{digest}"


def test_without_asking_the_registry_a_project_takes_what_it_keeps_itself(
    fake: FakeEngine, shop: Project, alice: User
) -> None:
    fake.containers.publish(f"{SHOP}:1.0", "one")
    first = deploy(image_app(shop, "one"))
    fake.containers.fail("pull", DOWN, times=9)
    second = deploy(image_app(shop, "two", pull_policy=PullPolicy.MISSING))
    assert (second.status, second.pulled_image) == (Status.LIVE, first.pulled_image)
    # What another project has pulled, perhaps with its own login, is not there for this one.
    other = image_app(project_create(slug="other", created_by=alice), "web", pull_policy="missing")
    assert deploy(other).failed_stage == Status.PULLING


def test_a_login_is_shown_to_its_own_registry_and_for_its_own_project_alone(
    fake: FakeEngine, shop: Project, alice: User
) -> None:
    fake.containers.publish(f"{SHOP}:1.0", "one")
    fake.containers.publish("ghcr.io:5000/halden/shop:1.0", "one")
    fake.containers.publish("nginx", "web server")
    fake.containers.logins["ghcr.io"] = ("bob", "pass-word-of-bob")
    other = project_create(slug="other", created_by=alice)
    assert deploy(image_app(shop, "none")).failed_stage == Status.PULLING
    RegistryCredential.objects.create(
        project=shop, registry="ghcr.io", username="bob", secret="pass-word-of-bob"
    )
    done = deploy(image_app(shop, "right"))
    assert done.status == Status.LIVE
    assert f"Pulling {SHOP}:1.0 as bob" in said(done) and "pass-word" not in said(done)
    assert deploy(image_app(other, "foreign")).failed_stage == Status.PULLING
    fake.containers.shown.clear()
    assert deploy(image_app(shop, "hub", "nginx")).status == Status.LIVE
    assert deploy(image_app(shop, "port", "ghcr.io:5000/halden/shop:1.0")).status == Status.LIVE
    assert fake.containers.shown == [None, None]


def test_an_image_that_several_apps_have_goes_with_the_last_of_them(
    fake: FakeEngine, shop: Project
) -> None:
    fake.containers.publish(f"{SHOP}:1.0", "one")
    one, two = image_app(shop, "one"), image_app(shop, "two")
    first, second = deploy(one), deploy(two)
    one.delete()
    fake.containers.remove(first.container_id)
    plan = plan_now(take_inventory())
    assert [(r.name, r.size) for r in plan.of_kind(Kind.IMAGE)] == [(first.image, 0)]
    fake.containers.remove_image(first.image)
    assert list(fake.containers.images) == [second.image]
    assert plan_now(take_inventory()).of_kind(Kind.IMAGE) == []


def test_the_newest_of_waiting_requests_wins(fake: FakeEngine, ready: App) -> None:
    first = deployment_request(app=ready, requested_by=None)
    deployment_request(app=ready, requested_by=None)
    other = deployment_request(app=ready, requested_by=None, ref="2.0")
    first.refresh_from_db()
    assert first.status == Status.SKIPPED
    assert Deployment.objects.filter(status=Status.QUEUED).count() == 2
    assert other.title == f"{SHOP}:2.0"


def test_an_app_that_becomes_an_image_runs_what_was_asked_for_before(
    fake: FakeEngine, web: App
) -> None:
    deployment_request(app=web, requested_by=None)
    app_update(app=web, source_kind=SourceKind.IMAGE, image_name=f"{SHOP}:1.0")
    assert run_next().status == Status.LIVE
    digest = fake.containers.publish(f"{SHOP}:1.0", "one")
    assert deploy(web).pulled_image == f"{SHOP}@{digest}"
