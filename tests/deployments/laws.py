"""What is always true of Mist. `laws_at_rest` says what is once everything has settled.

Everything is compared with the rows and the fake engine as they are; nothing asks Mist's own code
whether Mist is right.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.accounts.models import User
from apps.deployments import queueing, selectors, stages
from apps.deployments.models import RUNNING, Deployment
from apps.engine.data import Container, ContainerStatus
from apps.engine.fake import FakeEngine
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
    " AND (roll IS NULL OR json_type(roll, '$.serving') IS NULL)"
)

_PINNED = (
    f"SELECT id, image FROM {Deployment._meta.db_table} WHERE is_pinned AND status = 'retired'"
)
_DOOMED = (
    f"SELECT id FROM {Deployment._meta.db_table}"
    " WHERE status = 'queued' AND cancel_requested_at IS NOT NULL"
)


@dataclass
class Known:
    """What the test did, as far as it excuses something."""

    holding: set[int] = field(default_factory=set)
    """Apps with a volume."""
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
        # Its versions end before the next one starts.
        stops = stops or pk in known.holding
        lost = image not in fake.containers.images and image not in known.lost_images
        if lost and deleted is None:
            yield f"the image of the live deployment {live} is gone"
        # What was let fail, or was done by hand, may cost one of them.
        least = 1 if known.sentences or known.disturbed or applies else count
        trouble = [w for one in _led_to(fake, pk) if (w := _trouble(fake, pk, one, least))]
        # What counts on one that was paused by hand may yet fail.
        held = any(c.id in known.paused for c in _all(fake) if c.labels.get("mist.app") == str(pk))
        # Visitors that reach a new version may have to go back to one that was killed.
        up = [c for c in _all(fake) if c.labels.get("mist.deployment") == str(live)]
        stands = sum(c.status is ContainerStatus.RUNNING for c in up) >= least
        if stops:
            known.excused.add(pk)
        elif stands and not (trouble or applies or held):
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
    for pk, image in _ask(_PINNED):
        if image not in fake.containers.images and image not in known.lost_images:
            yield f"the image of {pk} is gone, and it is pinned"
    for (pk,) in _ask(_DOOMED):
        yield f"deployment {pk} waits and was cancelled"
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


def read_pages(user: User) -> None:
    """Everything that pages read: it must do in any state."""
    apps = list(selectors.with_records(selectors.with_state(apps_visible_to(user))))
    for app in apps:
        selectors.unapplied(app)
        selectors.recent_and_live(app, 5)
        selectors.unfinished_deployment(app)
    for deployment in selectors.deployments_visible_to(user)[:3]:
        stages.rail(deployment, now=time.time())
        queueing.waiting(deployment)


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
    """More containers than a roll needs, there or back, which is all that an app of several has;
    besides those of other versions that still have requests."""
    over = {str(pk) for (pk,) in _ask(_OVER)}
    ours = [c for c in _all(fake) if c.name not in STRANGERS and not c.labels.get("mist.role")]
    running = [c for c in ours if c.status is ContainerStatus.RUNNING]
    mine = [c.name for c in running if c.labels["mist.app"] == str(app)]
    mine = [c.name for c in running if c.name in mine and c.labels["mist.deployment"] not in over]
    if usual > 1 and len(mine) > usual + 1:
        yield f"{len(mine)} containers of app {app} run: {mine}"
