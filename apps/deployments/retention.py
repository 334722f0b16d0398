"""Which versions of an app are kept to roll back to, and letting go of the others.

`versions_to_drop` decides, of rows alone; `drop_version` acts. What serves, what is pinned and what
a rollback waits for is never let go of, whatever the limits say.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.deployments.models import AT_HOME, UNFINISHED, Deployment, Status
from apps.engine.connect import get_engine
from apps.projects.models import App

DAY = 86_400


@dataclass(frozen=True)
class Limits:
    """How much is kept of each app besides what serves."""

    count: int
    """Versions that were live before."""
    days: int = 0
    """Since they were replaced; 0 for as long as their number allows."""


class Reason(enum.StrEnum):
    """Why a version is let go of."""

    NUMBER = "number"
    AGE = "age"


@dataclass(frozen=True)
class Version:
    """A deployment that is or was live and whose image is kept."""

    pk: int
    app_id: int
    image: str
    is_live: bool = False
    is_pinned: bool = False
    is_wanted: bool = False
    """A rollback to it waits or is at work."""
    replaced_at: float = 0.0
    """Seconds since the epoch; of no meaning while it is live."""


@dataclass(frozen=True)
class Drop:
    version: Version
    reason: Reason
    takes_image: bool = True
    """False while another version that is kept runs the same image."""


def versions_to_drop(versions: Sequence[Version], limits: Limits, *, now: float) -> list[Drop]:
    """What exceeds the limits, of the versions of one app, newest first. `now` is in seconds since
    the epoch."""
    dropped: dict[int, Reason] = {}
    replaced = [version for version in versions if not version.is_live]
    for place, version in enumerate(replaced):
        if version.is_pinned or version.is_wanted:
            continue
        if place >= limits.count:
            dropped[version.pk] = Reason.NUMBER
        elif limits.days and now - version.replaced_at > limits.days * DAY:
            dropped[version.pk] = Reason.AGE
    kept = {version.image for version in versions if version.pk not in dropped}
    return [
        Drop(version, dropped[version.pk], takes_image=version.image not in kept)
        for version in versions
        if version.pk in dropped
    ]


def limits_now() -> Limits:
    """As this Mist is configured."""
    return Limits(count=settings.MIST_KEEP_IMAGES, days=settings.MIST_KEEP_IMAGES_DAYS)


def kept_versions(apps: Collection[int] | None = None) -> dict[int, list[Version]]:
    """App's id → its versions with an image, newest first; of all apps or of those given."""
    rows = Deployment.objects.filter(status__in=(Status.LIVE, Status.RETIRED)).exclude(image="")
    waiting = Deployment.objects.filter(status__in=UNFINISHED, source__isnull=False)
    if apps is not None:
        rows, waiting = rows.filter(app__in=apps), waiting.filter(app__in=apps)
    wanted = set(waiting.values_list("source_id", flat=True))
    fields = ("pk", "app_id", "image", "status", "is_pinned", "stages", "finished_at")
    found: dict[int, list[Version]] = {}
    for pk, app_id, image, status, pinned, stages, finished in rows.order_by("-id").values_list(
        *fields
    ):
        until = stages.get(Status.LIVE, (None, None))[1]
        if until is None and finished is not None:
            until = finished.timestamp()
        version = Version(
            pk=pk,
            app_id=app_id,
            image=image,
            is_live=status == Status.LIVE,
            is_pinned=pinned,
            is_wanted=pk in wanted,
            # Without a known end it counts as replaced just now.
            replaced_at=timezone.now().timestamp() if until is None else until,
        )
        found.setdefault(app_id, []).append(version)
    return found


def images_in_use() -> set[str]:
    """Names of images that a deployment runs, may run again or is about to run."""
    rows = Deployment.objects.filter(AT_HOME | Q(status=Status.RETIRED))
    return set(rows.exclude(image="").values_list("image", flat=True))


def drop_version(version: Version) -> bool:
    """Let go of it: from now on nobody can roll back to it, and its image goes unless another
    version runs it. False when it has become wanted, pinned or live since. Raises `EngineError`;
    an image that stays because of it is found by the next clean-up."""
    if not _forget(version.pk):
        return False
    rows = Deployment.objects.filter(
        image=version.image, status__in=(*UNFINISHED, Status.LIVE, Status.RETIRED)
    )
    if not rows.exists():
        get_engine().containers.remove_image(version.image)
    return True


def prune_images(app: App) -> None:
    """Let go of what exceeds the limits. Raises `EngineError`."""
    now = timezone.now().timestamp()
    for versions in kept_versions([app.pk]).values():
        for drop in versions_to_drop(versions, limits_now(), now=now):
            drop_version(drop.version)


def _forget(pk: int) -> bool:
    """Take the image off the row, unless a rollback to it was asked for meanwhile: both sides lock
    the row, so one of them sees what the other did."""
    with transaction.atomic():
        row = Deployment.objects.select_for_update().only("status", "is_pinned").filter(pk=pk)
        found = row.first()
        if found is None or found.status != Status.RETIRED or found.is_pinned:
            return False
        if Deployment.objects.filter(source=pk, status__in=UNFINISHED).exists():
            return False
        Deployment.objects.filter(pk=pk).update(image="", made_from=None, variables="")
    return True
