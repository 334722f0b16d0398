"""What the fake engine keeps on its disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from apps.engine.data import Container, ContainerSpec
from apps.engine.disk import EngineDisk, StoredImage, StoredNetwork
from apps.engine.errors import EngineAway
from apps.engine.fake_faults import Actor, Call

MB = 1_000_000
BASE = 150 * MB
"""What every built image shares with the others."""
OWN = 20 * MB


class FakeStorage(Actor):
    """Images, build cache and networks, with the promises of `base.Containers`."""

    def __init__(self, journal: list[Call] | None = None) -> None:
        super().__init__(journal)
        self.all: dict[str, Container] = {}
        self.specs: dict[str, ContainerSpec] = {}
        self.images: dict[str, tuple[int, ...]] = {}
        """Image name → ports that it exposes."""
        self.contents: dict[str, str] = {}
        """Image name → its digest, of those that were pulled."""
        self.image_labels: dict[str, dict[str, str]] = {}
        self.others: list[StoredImage] = []
        """Images that nobody built here: dangling ones, those of others."""
        self.networks: dict[str, dict[str, str]] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        """Made and never removed."""
        self.cache = 0
        """Bytes of build cache that no image has."""

    def disk(self) -> EngineDisk:
        self.enter("disk")
        with self._lock:
            used = {container.image for container in self.all.values()}
            # One that was pulled twice is one image with two names.
            same: dict[str, list[str]] = {}
            for name in self.images:
                same.setdefault(self.contents.get(name, f"sha256:{name}"), []).append(name)
            built = [
                StoredImage(
                    id=content,
                    names=tuple(names),
                    labels=self.image_labels.get(names[0], {}),
                    size=BASE + OWN,
                    shared=BASE,
                    is_used=not used.isdisjoint(names),
                )
                for content, names in same.items()
            ]
            images = (*built, *self.others)
            layers = sum(image.own for image in images) + (BASE if built else 0)
            return EngineDisk(images=images, layers=layers, cache=self.cache)

    def prune_cache(self, *, keep: int) -> int:
        self.enter("prune_cache", str(keep))
        with self._lock:
            freed = max(0, self.cache - keep)
            self.cache -= freed
        return freed

    def list_networks(self, *, labels: Mapping[str, str]) -> list[StoredNetwork]:
        self.enter("list_networks")
        with self._lock:
            attached = {self.specs[one].network for one in self.all if one in self.specs}
            return [
                StoredNetwork(name, is_used=name in attached)
                for name, own in self.networks.items()
                if labels.items() <= own.items()
            ]

    def remove_image(self, image: str) -> None:
        self.enter("remove_image", image)
        if not image:
            # Docker's client refuses to ask for nothing, in an error of its own.
            raise EngineAway("The Docker engine does not answer.")
        with self._lock:
            if any(container.image == image for container in self.all.values()):
                return
            self.images.pop(image, None)
            self.contents.pop(image, None)
            self.others = [left for one in self.others if (left := _without(one, image))]


def _without(image: StoredImage, name: str) -> StoredImage | None:
    """What is left of it without that name; an image goes with its last one."""
    if image.id == name and not image.is_used:
        return None
    if name not in image.names:
        return image
    rest = tuple(one for one in image.names if one != name)
    return replace(image, names=rest) if rest else None
