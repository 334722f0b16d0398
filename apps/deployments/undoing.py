"""What takes back the steps of a deployment that does not go live."""

from __future__ import annotations

from apps.deployments import lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.models import Status
from apps.deployments.work import Work

BEFORE_STARTING = (Status.CLONING, Status.BUILDING, Status.PULLING)


def remove_container(work: Work) -> None:
    for container in work.engine.containers.list(
        labels=planning.deployment_labels(work.deployment)
    ):
        of_app = planning.owner_facts(container.labels) is not None
        if of_app and work.deployment.status not in BEFORE_STARTING:
            replica = planning.replica_of(container.labels)
            keep_output(work.deployment.pk, container.id, replica)
        work.engine.containers.remove(container.id)


def remove_image(work: Work, image: str) -> None:
    """One that a container still has, which could not be removed, stays with its name: the next
    clean-up finds it."""
    work.engine.containers.remove_image(image)
    if not work.engine.containers.image_exists(image):
        lifecycle.record(work.deployment, image="")
