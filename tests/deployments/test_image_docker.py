"""Ready images with the real engine, the real Traefik and a real registry."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from apps.accounts.models import User
from apps.deployments import pipeline, reconciliation
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_delete, deployment_cancel, deployment_request
from apps.deployments.tasks import claim_next
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from apps.projects.source_models import SourceKind
from apps.sources.models import RegistryCredential
from tests.machine.registry import PASSWORD, USER, Registry, serve_registry, slow_front
from tests.machine.world import World, steady_visitors, wait_until

pytestmark = pytest.mark.docker


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with serve_registry(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Registry]:
    with serve_registry(tmp_path / "private", is_private=True) as made:
        yield made


def image_app(project: Project, image: str, slug: str = "web", **settings: Any) -> App:
    return app_create(
        project=project,
        slug=slug,
        repository="",
        created_by=None,
        source_kind=SourceKind.IMAGE,
        image_name=image,
        memory_mb=64,
        **settings,
    )


def said(deployment: Deployment) -> str:
    return "\n".join(plain_text(log_path(deployment.pk)))


def test_a_tag_is_deployed_moves_and_is_rolled_back_with_its_registry_gone(
    world: World, registry: Registry
) -> None:
    old = registry.push("team/web:1", "one", extra=200_000)
    app = image_app(world.project, f"{registry.address}/team/web:1")
    first = world.deploy(app)
    assert (first.status, first.failure) == (Status.LIVE, "")
    assert first.pulled_image == f"{registry.address}/team/web@{old}"
    assert world.get(app.host) == (200, "one\n")
    assert "layers are here" in said(first)

    new = registry.push("team/web:1", "two")
    with steady_visitors(world, app.host) as seen:
        second = world.deploy(app)
        wait_until(lambda: seen.answers[-1][1] == "two\n", "an answer of the second")
        assert second.pulled_image == f"{registry.address}/team/web@{new}"
        registry.stop()
        failed = world.deploy(app)
        back = world.roll_back(first)
        wait_until(lambda: seen.answers[-1][1] == "one\n", "an answer of the first")
    assert (failed.status, failed.failed_stage) == (Status.FAILED, Status.PULLING)
    assert failed.failure == f"{registry.address} does not answer."
    assert (back.status, back.pulled_image) == (Status.LIVE, first.pulled_image)
    assert seen.failures == [] and seen.bodies() == ["one\n", "two\n"]
    assert world.images() == sorted({first.image, second.image})


def test_a_private_image_needs_the_login_of_its_own_project(
    world: World, private: Registry
) -> None:
    private.push("team/web:1", "secret one")
    image = f"{private.address}/team/web:1"
    app = image_app(world.project, image)
    refused = world.deploy(app)
    assert refused.failure.startswith(f"{private.address} does not show the image to everybody")
    assert "Registries" in refused.failure_hint
    login = RegistryCredential.objects.create(
        project=world.project, registry=private.address, username=USER, secret="wrong-password"
    )
    wrong = world.deploy(app)
    assert wrong.failure.startswith(f"{private.address} refused the login of {USER}")
    login.secret = PASSWORD
    login.save()
    done = world.deploy(app)
    assert (done.status, done.failure) == (Status.LIVE, "")
    assert world.get(app.host) == (200, "secret one\n")
    for one in (refused, wrong, done):
        told = said(one) + one.failure_detail
        assert PASSWORD not in told and "wrong-password" not in told

    # The image is in the engine by now, and still it is not another project's to have.
    other = project_create(slug="other", created_by=User.objects.get())
    for policy in ("always", "missing"):
        foreign = world.deploy(image_app(other, image, policy, pull_policy=policy))
        assert foreign.failure == refused.failure
    # Nor is what Mist itself calls it.
    named = world.deploy(image_app(other, done.image, "named", pull_policy="missing"))
    assert (named.status, named.failed_stage) == (Status.FAILED, Status.PULLING)


def test_an_image_and_container_removed_by_hand_come_back_by_the_digest(
    world: World, registry: Registry, docker_client: docker.DockerClient
) -> None:
    registry.push("team/web:1", "one")
    app = image_app(world.project, f"{registry.address}/team/web:1")
    live = world.deploy(app)
    registry.push("team/web:1", "two")
    docker_client.containers.get(live.container_id).remove(force=True)
    docker_client.images.remove(live.image)
    reconciliation.reconcile(owner="me", alone=False)
    claimed = claim_next()
    assert claimed is not None and claimed.trigger == Deployment.Trigger.REPAIR
    repaired = world.run(claimed)
    assert (repaired.status, repaired.pulled_image) == (Status.LIVE, live.pulled_image)
    assert world.get(app.host) == (200, "one\n")


def test_cancelling_a_slow_pull_ends_it_at_once_and_leaves_nothing(
    world: World, registry: Registry
) -> None:
    registry.push("team/web:1", "one", extra=500_000)
    with slow_front(registry) as front:
        app = image_app(world.project, f"{front.address}/team/web:1")
        requested = deployment_request(app=app, requested_by=None)
        claimed = claim_next()
        assert claimed is not None
        thread = threading.Thread(target=pipeline.run, args=(claimed,))
        thread.start()
        wait_until(front.began.is_set, "the first byte of a layer")
        assert deployment_cancel(deployment=requested, by=None)
        wait_until(front.left.is_set, "the end of the engine's own download")
        thread.join(60)
    done = Deployment.objects.get(pk=requested.pk)
    assert (done.status, done.failed_stage) == (Status.CANCELLED, Status.PULLING)
    assert (world.images(), world.containers()) == ([], [])


def test_apps_share_an_image_and_each_lets_go_of_its_own_name(
    world: World, registry: Registry, docker_client: docker.DockerClient
) -> None:
    digest = registry.push("team/web:1", "one")
    pinned = f"{registry.address}/team/web@{digest}"
    one, two = image_app(world.project, pinned, "one"), image_app(world.project, pinned, "two")
    first, second = world.deploy(one), world.deploy(two)
    shared = docker_client.images.get(first.image).id
    assert shared == docker_client.images.get(second.image).id
    app_delete(app=one)
    reconciliation.apply_wishes()
    assert not App.objects.filter(pk=one.pk).exists()
    assert world.images() == [second.image]
    assert world.get(two.host) == (200, "one\n")
    app_delete(app=two)
    reconciliation.apply_wishes()
    assert world.images() == []
    with pytest.raises(docker.errors.ImageNotFound):
        docker_client.images.get(str(shared))
