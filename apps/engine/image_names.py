"""What Mist accepts as the name of a ready image, and what it means.

The grammar is that of github.com/distribution/reference, as engines from 20.10 on read it: an IPv6
address as registry came later, so a registry has a host name or an IPv4 address here. Of digests
only SHA-256 is taken. Every pattern is matched whole, so a newline at the end is no way round it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from apps.engine.errors import InvalidSource

MAX_IMAGE = 500
MAX_PATH = 255
"""Of registry and path together, as the reference implementation has it."""
HUB = "docker.io"
EXAMPLE = "for example nginx:1.27, ghcr.io/owner/app:2.0 or registry.example.com:5000/team/app"

_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?P<host>{_COMPONENT}(?:\.{_COMPONENT})*)(?::(?P<port>[0-9]{{1,5}}))?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
"""An image's own id: no name, since nobody could tell the two apart."""


@dataclass(frozen=True)
class ImageName:
    """An image in a registry, in full: `nginx` is `docker.io/library/nginx:latest`."""

    registry: str
    """Host in lower case, with its port where it was given one."""
    path: str
    tag: str = ""
    """Empty only where there is a digest."""
    digest: str = ""
    """`sha256:…`; with one, the tag means nothing to a registry."""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.path}"

    @property
    def short(self) -> str:
        """As people write the name: of Docker Hub's without what goes without saying."""
        if self.registry != HUB:
            return self.name
        return self.path.removeprefix("library/")

    @property
    def version(self) -> str:
        """Tag, else digest."""
        return self.tag or self.digest

    @property
    def title(self) -> str:
        """For a person, in a line: a digest is cut short."""
        version = f":{self.tag}" if self.tag else f"@{self.digest[:19]}…"
        return f"{self.short}{version}"

    @property
    def pinned(self) -> str:
        """`name@sha256:…`; empty without a digest."""
        return f"{self.name}@{self.digest}" if self.digest else ""

    def at(self, version: str) -> ImageName:
        """The same image with another tag or digest. Raises `InvalidSource`."""
        if _DIGEST.fullmatch(version):
            return replace(self, tag="", digest=version)
        return replace(self, tag=check_image_tag(version), digest="")

    def with_digest(self, digest: str) -> ImageName:
        """The same tag, held to that digest."""
        return replace(self, digest=digest)


def parse_image_name(text: str) -> ImageName:
    """What `registry/name:tag` or `registry/name@sha256:…` means. Raises `InvalidSource`."""
    if len(text) > MAX_IMAGE:
        raise InvalidSource(f"The name of an image has at most {MAX_IMAGE} characters.")
    if "://" in text:
        raise InvalidSource(f"The name of an image has no https:// — {EXAMPLE}.")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidSource(
            "A digest is sha256: and 64 digits of 0-9 and a-f, for example nginx@sha256:4c0f…"
        )
    rest, tag = _split_tag(rest)
    registry, path = _split_registry(rest)
    if not _PATH.fullmatch(path) or _IDENTIFIER.fullmatch(rest):
        raise InvalidSource(
            "The name of an image has lower-case letters and digits with single . _ - between "
            f"them, parts with / between them, and then :tag — {EXAMPLE}."
        )
    if len(registry) + 1 + len(path) > MAX_PATH:
        raise InvalidSource(f"The name of an image has at most {MAX_PATH} characters before ':'.")
    if registry == HUB and path == "library/scratch":
        raise InvalidSource("The image scratch is empty: it has nothing to start.")
    return ImageName(registry, path, tag or ("" if digest else "latest"), digest)


def check_image_name(text: str) -> str:
    """The name as it was typed, once it is known to be one. Raises `InvalidSource`."""
    parse_image_name(text)
    return text


def check_image_tag(text: str) -> str:
    """A tag. Raises `InvalidSource`."""
    if not _TAG.fullmatch(text):
        raise InvalidSource(
            "A tag has letters, digits and . _ - only, starts with none of . and - and has at most "
            "128 characters, for example 1.27-alpine; a digest is sha256: and its 64 digits."
        )
    return text


def check_image_version(text: str) -> str:
    """A tag or a digest. Raises `InvalidSource`."""
    return text if _DIGEST.fullmatch(text) else check_image_tag(text)


def check_registry(text: str) -> str:
    """A registry's host, with its port where it has one, as `ImageName` has it: `docker.io` for
    every name of Docker Hub. Raises `InvalidSource`."""
    match = _REGISTRY.fullmatch(text)
    if match is None or len(text) > MAX_PATH or not _is_port(match["port"]):
        raise InvalidSource(
            "A registry is a host name or an IPv4 address, with :port where it has one and without "
            "https:// and path, for example ghcr.io or registry.example.com:5000; Docker Hub is "
            "docker.io."
        )
    host = text.lower()
    if not _is_registry(host):
        raise InvalidSource(
            f"{text} is no registry's whole name: it has a dot or a port, for example ghcr.io."
        )
    return _hub(host)


def is_same_image(one: str, other: str) -> bool:
    """Whether two names that were typed mean the same."""
    return parse_image_name(one) == parse_image_name(other)


# ----------------------------------------------------------------------------------------- parts


def _split_tag(text: str) -> tuple[str, str]:
    """A colon behind the last slash begins the tag; one before it, a port."""
    head, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, ""
    return head, check_image_tag(tag)


def _split_registry(text: str) -> tuple[str, str]:
    """The first part is a registry where it looks like a host, else everything is at the Hub."""
    first, slash, path = text.partition("/")
    if not slash or not _is_registry(first):
        return HUB, text if slash else f"library/{text}"
    match = _REGISTRY.fullmatch(first)
    if match is None or not _is_port(match["port"]):
        raise InvalidSource(
            f"An image's registry is a host name or an IPv4 address with or without a port — "
            f"{EXAMPLE}."
        )
    registry = _hub(first.lower())
    return registry, path if registry != HUB or "/" in path else f"library/{path}"


def _is_registry(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost"


def _hub(host: str) -> str:
    return HUB if host in (HUB, f"index.{HUB}") else host


def _is_port(text: str | None) -> bool:
    return text is None or 1 <= int(text) <= 65_535
