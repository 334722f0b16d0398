"""What a clean-up removes, decided of facts alone.

What is kept is said first, so that what nobody knows stays: an image only goes when it carries this
instance's label and a name that this instance gives (or none), no container was made of it and no
deployment runs it, may run it again or is at work. Volumes and containers are no part of this.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from apps.deployments.retention import Drop, Limits, Reason, Version, versions_to_drop
from apps.engine.disk import EngineDisk, StoredImage, StoredNetwork


class Kind(enum.StrEnum):
    """What is removed; the value is a word for one of them."""

    IMAGE = "image"
    NETWORK = "network"
    CHECKOUT = "checkout"
    MIRROR = "mirror"
    LOG = "log"


@dataclass(frozen=True)
class Entry:
    """A file or folder of the data directory that belongs to something in the database."""

    path: str
    """Below the data directory."""
    pk: int
    """Of the app or deployment that it belongs to."""
    size: int = 0


@dataclass(frozen=True)
class Inventory:
    """What is there, and what the database knows. Engine and files were looked at before the
    database: whatever was there by then, its row was there too."""

    instance: str
    now: float
    """Seconds since the epoch."""
    disk: EngineDisk = field(default_factory=EngineDisk)
    networks: Sequence[StoredNetwork] = ()
    checkouts: Sequence[Entry] = ()
    mirrors: Sequence[Entry] = ()
    logs: Sequence[Entry] = ()
    halves: Sequence[Entry] = ()
    """Of logs, written by a Mist that was killed."""
    database: int = 0
    """Bytes of the database's files; 0 where it is elsewhere."""
    apps: Mapping[int, str] = field(default_factory=dict)
    """App's id → its name."""
    deployments: Mapping[int, str] = field(default_factory=dict)
    """Deployment's id → its status."""
    unfinished: Collection[int] = ()
    versions: Mapping[int, Sequence[Version]] = field(default_factory=dict)
    images_in_use: Collection[str] = ()
    known_networks: Collection[str] = ()


@dataclass(frozen=True)
class Removal:
    kind: Kind
    name: str
    """As the engine calls it, or the path below the data directory."""
    reason: str
    size: int = 0
    """Bytes that it takes, with what it may share with what stays."""
    own: int = 0
    """Bytes that nothing else has."""
    of: str = ""
    """The app that it belongs to, or belonged to."""
    version: Version | None = None
    """The version that nobody can roll back to afterwards."""


@dataclass(frozen=True)
class Plan:
    removals: Sequence[Removal] = ()
    cache_budget: int = 0
    """Bytes of build cache that are left."""
    prunes_cache: bool = False
    least: int = 0
    """Bytes that are free afterwards and are not now, at least."""
    most: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.removals and not self.prunes_cache

    def of_kind(self, kind: Kind) -> list[Removal]:
        return [removal for removal in self.removals if removal.kind is kind]


def plan_cleanup(found: Inventory, limits: Limits, *, cache_budget: int) -> Plan:
    """Everything that may go, with what that frees."""
    gone: list[StoredImage] = []
    images = [*_old_versions(found, limits, gone), *_orphans(found, gone)]
    files = [*_files(found)]
    least, most = _engine_bytes(found.disk, gone, cache_budget)
    of_files = sum(removal.size for removal in files)
    return Plan(
        removals=(*images, *_networks(found), *files),
        cache_budget=cache_budget,
        # What images leave behind may be cache of nobody but itself by then.
        prunes_cache=found.disk.cache + (found.disk.cache_in_images if gone else 0) > cache_budget,
        least=least + of_files,
        most=most + of_files,
    )


def own_image(name: str, instance: str) -> int | None:
    """The deployment that this instance named the image after, None for any other name."""
    match = re.fullmatch(rf"mist/[^:]+-{re.escape(instance)}:(\d{{1,18}})", name)
    return int(match[1]) if match else None


# ------------------------------------------------------------------------------------------ images


def _old_versions(found: Inventory, limits: Limits, gone: list[StoredImage]) -> Iterator[Removal]:
    """Versions beyond the limits. What really goes of the engine's images is added to `gone`."""
    by_name = {name: image for image in found.disk.images for name in image.names}
    for app_id, versions in found.versions.items():
        for drop in versions_to_drop(versions, limits, now=found.now):
            image = by_name.get(drop.version.image)
            if image is not None and image.is_used and len(image.names) == 1:
                continue
            # A name that somebody else gave keeps the layers, two versions may have one image.
            frees = drop.takes_image and image is not None and len(image.names) == 1
            if image is None or not frees or image in gone:
                image = None
            else:
                gone.append(image)
            yield Removal(
                Kind.IMAGE,
                drop.version.image,
                _why(drop, limits),
                size=image.size if image else 0,
                own=image.own if image else 0,
                of=found.apps.get(app_id, ""),
                version=drop.version,
            )


def _why(drop: Drop, limits: Limits) -> str:
    if drop.reason is Reason.AGE:
        return f"replaced more than {limits.days} days ago"
    return f"replaced, and {limits.count} newer are kept" if limits.count else "replaced"


def _orphans(found: Inventory, gone: list[StoredImage]) -> Iterator[Removal]:
    """Images of this instance that no deployment knows."""
    for image in found.disk.images:
        of_instance = image.labels.get("mist.instance")
        # One that was pulled has no labels of ours, only names: several, where apps share it.
        pulled = of_instance is None and any(own_image(n, found.instance) for n in image.names)
        if not pulled and (of_instance != found.instance or image.is_used):
            continue
        made_by = _number(image.labels.get("mist.deployment", ""))
        if made_by in found.unfinished:
            # It may be built already and not recorded yet.
            continue
        of = image.labels.get("mist.name", "")
        if not image.names:
            gone.append(image)
            yield Removal(
                Kind.IMAGE, image.id, "untagged: a later build took its name",
                image.size, image.own, of,
            )  # fmt: skip
            continue
        doomed = [name for name in image.names if _is_orphan(name, found)]
        frees = len(doomed) == len(image.names)
        if frees and image.is_used:
            continue
        if frees:
            gone.append(image)
        for place, name in enumerate(doomed):
            counts = frees and place == 0
            yield Removal(
                Kind.IMAGE,
                name,
                _why_orphan(own_image(name, found.instance), found),
                size=image.size if counts else 0,
                own=image.own if counts else 0,
                of=of,
            )


def _is_orphan(name: str, found: Inventory) -> bool:
    made_by = own_image(name, found.instance)
    if made_by is None or name in found.images_in_use:
        return False
    return made_by not in found.unfinished


def _why_orphan(pk: int | None, found: Inventory) -> str:
    status = found.deployments.get(pk or 0)
    if status is None:
        return "its app is deleted"
    return "no longer kept" if status in ("live", "retired") else "of a deployment that failed"


def _engine_bytes(disk: EngineDisk, gone: Sequence[StoredImage], budget: int) -> tuple[int, int]:
    """What removing these images and pruning the cache frees, at least and at most.

    The engine says of an image how much of it others have too, not which. What only images that go
    have in common goes with the last of them; so the truth lies between their own layers, and those
    with all shared ones that no kept image needs. Layers that the build cache has as well stay,
    as cache that counts towards the budget from then on.
    """
    kept = [image for image in disk.images if image not in gone]
    own = sum(image.own for image in gone)
    pool = disk.layers - sum(image.own for image in disk.images)
    pool -= max((image.shared for image in kept), default=0)
    shared = min(sum(image.shared for image in gone), max(0, pool))

    def freed(released: int, into_cache: int) -> int:
        return released - into_cache + max(0, disk.cache + into_cache - budget)

    return freed(own, min(own, disk.cache_in_images)), freed(own + shared, 0)


# ------------------------------------------------------------------------------ networks and files


def _networks(found: Inventory) -> Iterator[Removal]:
    for network in found.networks:
        ours = network.name.startswith(f"mist-{found.instance}-")
        if ours and not network.is_used and network.name not in found.known_networks:
            yield Removal(Kind.NETWORK, network.name, "its project is deleted")


def _files(found: Inventory) -> Iterator[Removal]:
    for entry in found.checkouts:
        if entry.pk not in found.unfinished:
            yield _file(Kind.CHECKOUT, entry, "its deployment is over")
    for entry in found.mirrors:
        if entry.pk not in found.apps:
            yield _file(Kind.MIRROR, entry, "its app is deleted")
    for entry in found.logs:
        if entry.pk not in found.deployments:
            yield _file(Kind.LOG, entry, "its deployment is deleted")
    for entry in found.halves:
        yield _file(Kind.LOG, entry, "half-written when Mist was killed")


def _file(kind: Kind, entry: Entry, reason: str) -> Removal:
    return Removal(kind, entry.path, reason, size=entry.size, own=entry.size)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
