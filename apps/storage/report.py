"""What pages, and `./mist cleanup --dry-run`, tell about the disk: plain data, sizes in bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apps.engine.disk import StoredImage
from apps.storage.planning import Entry, Inventory, Kind, Plan, Removal

REMOVALS_MAX = 200
"""That are named one by one."""
WORDS: dict[str, tuple[str, str]] = {
    Kind.IMAGE: ("image", "images"),
    Kind.NETWORK: ("network", "networks"),
    Kind.CHECKOUT: ("checkout", "checkouts"),
    Kind.MIRROR: ("repository mirror", "repository mirrors"),
    Kind.LOG: ("log", "logs"),
}


def report(found: Inventory, plan: Plan) -> dict[str, Any]:
    """Everything as JSON takes it."""
    disk = found.disk
    mine = [image for image in disk.images if _is_mine(image, found)]
    dangling = [image for image in mine if not image.names]
    others = [image for image in disk.images if not _is_mine(image, found)]
    return {
        "apps": _by_app([image for image in mine if image.names]),
        "dangling": _images(dangling),
        "others": _images(others),
        "layers": disk.layers,
        "cache": disk.cache,
        "cache_in_images": disk.cache_in_images,
        "cache_budget": plan.cache_budget,
        "prunes_cache": plan.prunes_cache,
        "files": {
            "checkouts": _entries(found.checkouts),
            "mirrors": _entries(found.mirrors),
            "logs": _entries([*found.logs, *found.halves]),
            "database": found.database,
        },
        "removals": [_removal(removal) for removal in plan.removals[:REMOVALS_MAX]],
        "counts": {kind: len(plan.of_kind(kind)) for kind in Kind if plan.of_kind(kind)},
        "count": len(plan.removals),
        "least": plan.least,
        "most": plan.most,
    }


def counted(counts: dict[str, int]) -> str:
    """`3 images, 1 log`. Empty for nothing."""
    return ", ".join(
        f"{count} {WORDS[kind][count != 1]}" for kind, count in counts.items() if count
    )


def _is_mine(image: StoredImage, found: Inventory) -> bool:
    return image.labels.get("mist.instance") == found.instance


def _by_app(images: Iterable[StoredImage]) -> list[dict[str, Any]]:
    grouped: dict[str, list[StoredImage]] = {}
    for image in images:
        grouped.setdefault(image.labels.get("mist.name", ""), []).append(image)
    rows = [{"app": name, **_images(group)} for name, group in grouped.items()]
    return sorted(rows, key=lambda row: (-row["own"], row["app"]))


def _images(images: Sequence[StoredImage]) -> dict[str, int]:
    return {
        "count": len(images),
        "own": sum(image.own for image in images),
        "largest": max((image.size for image in images), default=0),
    }


def _entries(entries: Sequence[Entry]) -> dict[str, int]:
    return {"count": len(entries), "size": sum(entry.size for entry in entries)}


def _removal(removal: Removal) -> dict[str, Any]:
    return {
        "kind": str(removal.kind),
        "name": removal.name,
        "reason": removal.reason,
        "size": removal.size,
        "own": removal.own,
        "of": removal.of,
    }
