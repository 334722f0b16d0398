"""What is always true of Mist, and what is true once everything has settled.

Everything is compared with the rows and the fake engine as they are; nothing asks Mist's own code
whether Mist is right.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from apps.accounts.models import User
from apps.deployments import selectors, stages
from apps.deployments.logs import log_path
from apps.deployments.models import RUNNING, UNFINISHED, Deployment, Status
from apps.domains.planning import routes_file
from apps.engine.data import Container, ContainerStatus
from apps.engine.fake import FakeEngine
from apps.engine.locks import try_file_lock
from apps.projects.models import App
from apps.projects.selectors import apps_visible_to

OTHERS = {"mist.instance": "another", "mist.app": "1", "mist.deployment": "99999"}
STRANGERS = {"a": {"some": "label"}, "b": OTHERS}
_LIVE = (
    "SELECT a.id, a.wanted, a.restart_requested, a.needs_apply, a.deleted_at, d.id, d.image,"
    " d.replica_ids"
    f" FROM {App._meta.db_table} a JOIN {Deployment._meta.db_table} d"
    " ON d.app_id = a.id AND d.status = 'live'"
)
_OVER = (
    f"SELECT id FROM {Deployment._meta.db_table}"
    " WHERE status IN ('retired', 'failed', 'cancelled', 'skipped')"
)


@dataclass
class Known:
    """What the test did, as far as it excuses something."""

    excused: set[int] = field(default_factory=set)
    """Apps whose traffic was interrupted on purpose or from outside."""
    lost_images: set[str] = field(default_factory=set)
    """Removed by hand."""
    paused: set[str] = field(default_factory=set)
    """Containers that were paused by hand."""
    cancelled: set[int] = field(default_factory=set)
    """Deployments that were told to end and said that they would."""
    sentences: set[str] = field(default_factory=set)
    """Of faults that were let happen."""
    disturbed: bool = False
    """Whether anything was done to the engine from outside."""
    sick: set[str] = field(default_factory=set)
    """Commits whose images never get healthy."""


def broken_now(fake: FakeEngine, known: Known) -> Iterator[str]:
    """What must not be so at any moment. Updates what is excused."""
    lives: dict[int, int] = {}
    for pk, wanted, restart, applies, deleted, live, image, others in _ask(_LIVE):
        count = 1 + len(json.loads(others))
        lives[pk] = lives.get(pk, 0) + 1
        stops = wanted != App.Wanted.RUNNING or restart or deleted is not None
        lost = image not in fake.containers.images and image not in known.lost_images
        if lost and deleted is None:
            yield f"the image of the live deployment {live} is gone"
        # What was let fail, or was done by hand, may cost one of them.
        least = 1 if known.sentences or known.disturbed or applies else count
        trouble = [w for one in _led_to(fake, pk) if (w := _trouble(fake, pk, one, least))]
        if stops:
            known.excused.add(pk)
        elif not trouble and not applies:
            known.excused.discard(pk)
        if trouble and pk not in known.excused:
            yield f"visitors of app {pk} meet {trouble[0]}, deployment {live} is live"
        if pk not in known.excused and not (known.sentences or known.disturbed):
            yield from _crowd(fake, pk, count)
    yield from (
        f"app {pk} has {count} live deployments" for pk, count in lives.items() if count > 1
    )
    names = ", ".join(f"'{status}'" for status in RUNNING)
    for pk, count in _ask(
        f"SELECT app_id, count(*) FROM {Deployment._meta.db_table}"
        f" WHERE status IN ({names}) GROUP BY app_id"
    ):
        if count > 1:
            yield f"app {pk} is deployed {count} times at once"
    if known.cancelled:
        which = ", ".join(map(str, known.cancelled))
        for (pk,) in _ask(
            f"SELECT id FROM {Deployment._meta.db_table}"
            f" WHERE id IN ({which}) AND status IN ('live', 'retired')"
        ):
            yield f"deployment {pk} was cancelled and is live"
    for name, labels in STRANGERS.items():
        found = fake.containers.all.get(name)
        if found is None or found.labels != labels or found.status != ContainerStatus.RUNNING:
            yield f"a container that is not Mist's was touched: {name}"


def broken_at_rest(fake: FakeEngine, known: Known) -> Iterator[str]:
    """What must not be so when nothing is asked for, nothing fails and nobody is at work."""
    yield from _unfinished()
    yield from _ends(known)
    yield from _running(fake, known)
    yield from _left_over(fake, known)


def read_pages(user: User) -> None:
    """Everything that pages read: it must do in any state."""
    apps = list(selectors.with_records(selectors.with_state(apps_visible_to(user))))
    for app in apps:
        selectors.unapplied(app)
        selectors.recent_and_live(app, 5)
        selectors.unfinished_deployment(app)
    for deployment in selectors.deployments_visible_to(user)[:3]:
        stages.rail(deployment, now=time.time())
        selectors.waiting(deployment)


# ----------------------------------------------------------------------------------------- parts


def _ask(sql: str) -> list[tuple[Any, ...]]:
    connection.ensure_connection()
    return list(connection.connection.execute(sql))


def _led_to(fake: FakeEngine, app: int) -> list[Mapping[str, Any]]:
    """What routes requests now or in a moment: the proxy reads the file when it likes."""
    return [(found.get(str(app)) or {}).get("http", {}) for found in _files(fake)]


def _files(fake: FakeEngine) -> tuple[Mapping[str, Mapping[str, Any]], ...]:
    return fake.proxy.leads, fake.proxy.routes


def _trouble(fake: FakeEngine, app: int, http: Mapping[str, Any], least: int) -> str:
    """Why requests get no good answer, or only from fewer containers than that; empty when they
    do."""
    service = str(http.get("routers", {}).get(f"app-{app}", {}).get("service", ""))
    if not service:
        return "no route"
    balancer = http.get("services", {}).get(service, {}).get("loadBalancer")
    if balancer is not None:
        urls = [str(one["url"]) for one in balancer["servers"]]
        found = [c for url in urls for c in _all(fake) if url in _urls(c)]
        if len(found) < len(urls):
            return f"an address without a container: {urls}"
    else:
        label = f"traefik.http.services.{service.removesuffix('@docker')}."
        mine = [c for c in _all(fake) if any(key.startswith(label) for key in c.labels)]
        # Traefik knows none that does not run.
        found = [c for c in mine if c.status is ContainerStatus.RUNNING]
        if not found:
            states = [str(one.status) for one in mine] or "no container"
            return f"{states} of {service}"
    if any(not one.addresses for one in found):
        return "a container without a network"
    if any(one.image in fake.proxy.sick for one in found):
        return "a sick container"
    return f"{len(found)} containers instead of {least}" if len(found) < least else ""


def _all(fake: FakeEngine) -> list[Container]:
    return list(fake.containers.all.values())


def _urls(container: Container) -> set[str]:
    return {f"http://{address}:8000" for address in container.addresses.values()}


def _crowd(fake: FakeEngine, app: int, usual: int) -> Iterator[str]:
    """More containers than a roll needs, which is all that an app of several has; besides those of
    older versions that still have requests."""
    over = {str(pk) for (pk,) in _ask(_OVER)}
    ours = [c for c in _all(fake) if c.name not in STRANGERS and not c.labels.get("mist.role")]
    running = [c for c in ours if c.status is ContainerStatus.RUNNING]
    mine = [c.name for c in running if c.labels["mist.app"] == str(app)]
    mine = [c.name for c in running if c.name in mine and c.labels["mist.deployment"] not in over]
    if usual > 1 and len(mine) > usual + 1:
        yield f"{len(mine)} containers of app {app} run: {mine}"


def _unfinished() -> Iterator[str]:
    for row in Deployment.objects.filter(status__in=UNFINISHED):
        yield f"deployment {row.pk} is still {row.status}"
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
            wanted = routes_file(app, service=live.service, containers=live.replicas)
        for where, routes in (("file", fake.proxy.routes), ("traffic", fake.proxy.leads)):
            if routes.get(str(app.pk)) != wanted:
                yield f"the {where} of app {app.pk} is not that of {live}"
        if live is None:
            yield from [f"{app} is {app.observed}"] if app.observed != App.Observed.NONE else []
            continue
        expected.update(live.container_ids)
        if len(live.container_ids) != app.replicas:
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
