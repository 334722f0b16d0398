"""What comes at the one moment when nobody looks. The order was found by `test_lifecycle_hold`."""

from __future__ import annotations

from apps.accounts.models import User
from apps.deployments import following, lifecycle, pipeline, reconciliation, recovery
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_delete, deployment_cancel, deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_create
from tests.deployments.test_deployment_run import deploy, serving


def test_a_cancel_that_was_promised_counts_until_the_deployment_is_live(
    fake: FakeEngine, web: App
) -> None:
    first = deploy(web)
    promised: list[bool] = []
    wait = fake.proxy.wait_for_route

    def cancel_then(**words: object) -> None:
        wait(**words)  # type: ignore[arg-type]
        running = Deployment.objects.get(status=Status.SWITCHING)
        promised.append(deployment_cancel(deployment=running, by=None))
        fake.proxy.wait_for_route = wait  # type: ignore[method-assign]

    fake.proxy.wait_for_route = cancel_then  # type: ignore[method-assign]
    second = deploy(web)
    assert promised == [True] and second.status == Status.CANCELLED
    assert serving(fake, web) == f"{first.service}@docker"
    assert list(fake.containers.all) == [first.container_id]


def test_an_image_of_a_build_that_is_begun_again_does_not_stay(fake: FakeEngine, web: App) -> None:
    deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    fake.containers.fail("exposed_ports", lambda: lifecycle.release(owner=claimed.owner))
    pipeline.run(claimed)
    assert fake.containers.images
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    assert deployment_cancel(deployment=claimed, by=None)
    assert fake.containers.images == {}


def test_an_app_is_deleted_only_after_its_old_version_has_gone(fake: FakeEngine, web: App) -> None:
    deploy(web)
    requested = deployment_request(app=web, requested_by=None)
    claimed = claim_next()
    assert claimed is not None and pipeline.bring_live(claimed)
    app_delete(app=web)
    reconciliation.apply_wishes()
    assert Deployment.objects.get(pk=requested.pk).status == Status.LIVE
    following.retire(claimed)
    reconciliation.apply_wishes()
    assert not App.objects.exists() and fake.containers.all == {}


def test_an_app_that_comes_while_routes_are_looked_through_keeps_its_own(
    fake: FakeEngine, web: App, alice: User
) -> None:
    def arrive() -> None:
        new = app_create(
            project=web.project,
            slug="new",
            repository="https://git.example.com/shop/new.git",
            created_by=alice,
            port=8000,
        )
        assert deploy(new).status == Status.LIVE

    fake.proxy.fail("routed_apps", arrive)
    reconciliation.restore_routes()
    assert serving(fake, App.objects.get(slug="new"))
