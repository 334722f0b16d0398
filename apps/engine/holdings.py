"""What a container holds of the machine: folders that outlive it, and ports of the server.

Pure data and checks in the manner of `sources`: what a person typed goes in, what Mist stores
comes out, or `InvalidSource` with a sentence that names the rule and shows an example.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.engine.errors import InvalidSource

LOCAL = "127.0.0.1"
"""A port that only programs on the server itself reach."""
EVERYWHERE = ""
"""A port on all addresses of the server."""
MAX_MOUNT_PATH = 250
KERNEL = ("/proc", "/sys", "/dev")
"""Made by the kernel for each container: nothing is kept there."""
SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
"""Where tools look for the engine: whoever reaches it owns the server."""


@dataclass(frozen=True)
class VolumeMount:
    volume: str
    """The engine's name of it; made when it is not there."""
    path: str
    """Where the container sees it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What a volume that is made gets."""


@dataclass(frozen=True)
class PublishedPort:
    port: int
    """Of the server."""
    container_port: int
    protocol: str = "tcp"
    """`tcp` or `udp`"""
    address: str = LOCAL
    """`LOCAL` or `EVERYWHERE`."""


def check_mount_path(text: str) -> str:
    """An absolute path in a container, without doubled slashes or one at the end."""
    example = "for example /data or /var/lib/postgresql/data"
    if len(text) > MAX_MOUNT_PATH:
        raise InvalidSource(f"A path in the container has at most {MAX_MOUNT_PATH} characters.")
    parts = text.split("/")
    plain = all(unicodedata.category(char)[0] not in "CZ" for char in text)
    # With a colon or a comma Docker's tools write options of a mount behind its path.
    marks = set("\\:,") & set(text)
    if not text.startswith("/") or not plain or marks or {".", ".."} & set(parts):
        raise InvalidSource(
            "A path in the container starts with a slash and has no '.' or '..' part, no space, "
            f"no colon, no comma and no backslash, {example}."
        )
    # POSIX keeps two slashes at the beginning apart from one.
    path = "/" + posixpath.normpath(text).lstrip("/")
    if path == "/":
        raise InvalidSource(
            f"A volume cannot take the place of the whole image. Name a folder, {example}."
        )
    for taken in (*KERNEL, *SOCKETS):
        if path == taken or path.startswith(f"{taken}/"):
            what = "belongs to the kernel" if taken in KERNEL else "is kept for the engine's socket"
            raise InvalidSource(f"{taken} {what}. Choose another folder, {example}.")
    return path
