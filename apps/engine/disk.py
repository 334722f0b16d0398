"""What the engine keeps on its disk, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StoredImage:
    """An image in the engine, whoever made it. Sizes are in bytes."""

    id: str
    names: tuple[str, ...] = ()
    """Its tags; none for a dangling image."""
    labels: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    """With every layer that it consists of."""
    shared: int = 0
    """Of these, what other images consist of too: it stays when this image alone goes."""
    is_used: bool = False
    """A container, running or not, was made of it."""

    @property
    def own(self) -> int:
        """Bytes that no other image has."""
        return max(0, self.size - self.shared)


@dataclass(frozen=True)
class EngineDisk:
    """All of an engine's images and build cache. Sizes are in bytes."""

    images: tuple[StoredImage, ...] = ()
    layers: int = 0
    """Of all images together, each layer once."""
    cache: int = 0
    """Build cache that no image consists of: what pruning it can free."""
    cache_in_images: int = 0
    """Build cache whose layers an image has as well. It takes no room of its own, and is `cache`
    as soon as that image goes."""

    @property
    def total(self) -> int:
        """What images and build cache take, nothing counted twice."""
        return self.layers + self.cache


@dataclass(frozen=True)
class StoredNetwork:
    name: str
    is_used: bool = False
    """A container, running or not, is attached."""
