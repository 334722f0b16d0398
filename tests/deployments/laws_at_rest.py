"""What is true of Mist once everything has settled. As `laws` otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from apps.deployments.logs import log_path
from apps.deployments.models import UNFINISHED, Deployment, Status
from apps.domains.addresses import addresses_of
from apps.domains.planning import routes_file
from apps.engine.data import Container, ContainerStatus
from apps.engine.fake import FakeEngine
from apps.engine.locks import try_file_lock
from apps.projects.models import App
from apps.storage.models import CleanUp
from tests.deployments.laws import STRANGERS, Known


def broken_at_rest(fake: FakeEngine, known: Known) -> Iterator[str]:
    """What must not be so when nothing is asked for, nothing fails and nobody is at work."""
    yield from _unfinished()
    yield from _ends(known)
    yield from _running(fake, known)
    yield from _left_over(fake, known)


# ----------------------------------------------------------------------------------------- parts


def _unfinished() -> Iterator[str]:
    for row in Deployment.objects.filter(status__in=UNFINISHED):
        yield f"deployment {row.pk} is still {row.status}"
    for row in Deployment.objects.exclude(owner="", roll__isnull=True):
        yield f"deployment {row.pk} is {row.status} and still held"
    for cleanup in CleanUp.objects.exclude(status__in=("done", "failed")):
        yield f"{cleanup} is still {cleanup.status}"
    for app in App.objects.filter(needs_apply=True):
        yield f"what was asked of app {app.pk} is not done"
    for app in App.objects.exclude(deleted_at=None):
        yield f"app {app.pk} is still being deleted"


def _ends(known: Known) -> Iterator[str]:
    for row in Deployment.objects.exclude(status__in=UNFINISHED):
        if row.status == Status.FAILED and not _is_true(row, known):
            yield f"deployment {row.pk} failed, it says: {row.failure!r}"
        if row.status == Status.CANCELLED and row.cancel_requested_at is None:
            yield f"deployment {row.pk} was cancelled by nobody"
        if row.status == Status.SKIPPED and not row.failure:
            yield f"deployment {row.pk} was skipped for no reason"
        # Its worker may have died before it heard of that, and a newer one have taken its place.
        over = (Status.CANCELLED, Status.FAILED, Status.SKIPPED)
        if row.pk in known.cancelled and row.status not in over:
            yield f"deployment {row.pk} was cancelled and is {row.status}"
        if row.finished_at is None:
            yield f"deployment {row.pk} is {row.status} and has no end"
        if row.started_at is not None and not log_path(row.pk).is_file():
            yield f"deployment {row.pk} has no log"


def _is_true(row: Deployment, known: Known) -> bool:
    if row.failure in known.sentences:
        return True
    if row.failure.startswith("The health check") and row.commit in known.sick:
        return True
    # What was done to the engine by hand may show in many words, Mist's own mistakes may not.
    return known.disturbed and bool(row.failure) and not row.failure.startswith("Mist itself")


def _running(fake: FakeEngine, known: Known) -> Iterator[str]:
    ours = [c for c in fake.containers.all.values() if c.name not in STRANGERS]
    expected: set[str] = set()
    for app in App.objects.select_related("project"):
        live = Deployment.objects.filter(app=app, status=Status.LIVE).first()
        wanted = None
        if live is not None:
            wanted = routes_file(
                addresses_of([app])[app], service=live.service, containers=live.replicas
            )
        for where, routes in (("file", fake.proxy.routes), ("traffic", fake.proxy.leads)):
            if routes.get(str(app.pk)) != wanted:
                yield f"the {where} of app {app.pk} is not that of {live}"
        if live is None:
            yield from [f"{app} is {app.observed}"] if app.observed != App.Observed.NONE else []
            continue
        expected.update(live.container_ids)
        if len(live.container_ids) != (live.made_from or {})["settings"]["replicas"]:
            yield f"{live} has {len(live.container_ids)} containers"
        for one in live.container_ids:
            yield from _as_wanted(app, live, fake.containers.all.get(one), known)
    yield from (f"left over: container {c.name}" for c in ours if c.id not in expected)


def _as_wanted(
    app: App, live: Deployment, container: Container | None, known: Known
) -> Iterator[str]:
    status = container.status if container else None
    if app.wanted == App.Wanted.STOPPED:
        if status not in (None, ContainerStatus.EXITED):
            yield f"{app} shall be stopped and is {status}"
        elif app.observed != App.Observed.STOPPED:
            yield f"{app} is stopped and called {app.observed}"
        return
    if known.paused & set(live.container_ids):
        # It stays so until whoever paused it takes that back, and the app says so.
        return
    if live.image in known.lost_images and container is None:
        # Built again once, which may fail: then the app says so.
        if not Deployment.objects.filter(app=app, trigger=Deployment.Trigger.REPAIR).exists():
            yield f"{app} lost its image and is not built again"
        return
    if container is None or status is not ContainerStatus.RUNNING or not container.addresses:
        yield f"{app} shall run and is {status}"
    elif app.observed != App.Observed.RUNNING:
        yield f"{app} runs and is called {app.observed}, {app.observed_detail!r}"


def _left_over(fake: FakeEngine, known: Known) -> Iterator[str]:
    folder = Path(settings.MIST_DATA_DIR)
    apps = {str(pk) for pk in App.objects.values_list("pk", flat=True)}
    rows = Deployment.objects.exclude(image="")
    named = set(rows.values_list("image", flat=True))
    for image in set(fake.containers.images) - named:
        yield f"left over: image {image}"
    # A rollback that did not go live names the image of another.
    lived = rows.filter(status__in=(Status.LIVE, Status.RETIRED))
    kept = set(lived.values_list("image", flat=True))
    for image in kept - set(fake.containers.images) - known.lost_images:
        yield f"an image is kept that is not there: {image}"
    for path in (folder / "builds").glob("*"):
        yield f"left over: checkout {path.name}"
    for app in set(fake.proxy.routes) - apps:
        yield f"left over: routes of app {app}"
    if not apps and fake.containers.networks:
        yield "left over: a network"
    for path in (folder / "locks").glob("*"):
        with try_file_lock(path) as held:
            if not held:
                yield f"left over: lock {path.name}"
    for path in (folder / "logs").glob("*"):
        if not Deployment.objects.filter(pk=int(re.split("[.-]", path.name)[0])).exists():
            yield f"left over: {path.name}"
