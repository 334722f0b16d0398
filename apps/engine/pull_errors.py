"""Why a registry did not give an image, in sentences: from the words of engines 20.10 to 29."""

from __future__ import annotations

import re

from apps.engine.errors import (
    MAKE_ROOM,
    EngineError,
    ImageNotFound,
    OutOfDisk,
    PullFailed,
    RegistryDenied,
    RegistryUnreachable,
)
from apps.engine.image_names import ImageName

_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)
_LIMITED = re.compile(r"toomanyrequests|too many requests|rate limit", re.IGNORECASE)
_PLATFORM = re.compile(
    r"no matching manifest for ([\w/.-]+)|no match for platform in manifest"
    r"|image operating system .* cannot be used|does not match the specified platform"
)
_DENIED = re.compile(
    r"pull access denied|no basic auth credentials|unauthorized|authentication required"
    r"|401 Unauthorized|403 Forbidden|denied|incorrect username or password"
    r"|insufficient[_ ]scope|authorization failed",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"manifest unknown|manifest for .* not found|name unknown|not found|404 Not Found"
    r"|repository name not known",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"server gave HTTP response to HTTPS client")
_CERTIFICATE = re.compile(r"x509: |tls: |certificate", re.IGNORECASE)
_NO_HOST = re.compile(r"no such host|server misbehaving|name resolution", re.IGNORECASE)
_SILENT = re.compile(
    r"connection refused|i/o timeout|Client\.Timeout|deadline exceeded|no route to host"
    r"|network is unreachable|connection reset|TLS handshake timeout|unexpected EOF|: EOF"
    r"|\b50[0234]\b|Service Unavailable|Bad Gateway",
    re.IGNORECASE,
)


def pull_failed(image: ImageName, message: str, *, user: str) -> EngineError:
    """The reason, from the engine's `message`; `user` is the name that was shown to the registry,
    empty without one. Nothing of it may hold a password."""
    # The name itself says nothing: an image may be called certificate-denied.
    words = message.replace(image.path, "").replace(image.registry, "")
    if _NO_SPACE.search(words):
        return OutOfDisk(
            "The server ran out of disk space during the pull.",
            hint=MAKE_ROOM.format(again="deploy again"),
            detail=message,
        )
    if found := _PLATFORM.search(words):
        kind = f" ({found[1]})" if found[1] else ""
        return ImageNotFound(
            f"{image.title} is not made for this kind of server{kind}.",
            hint="Choose an image or a tag that is, or build it for several platforms.",
            detail=message,
        )
    # Before what else its words could mean: a registry says "denied" of a limit too.
    if (reason := registry_failed(image.registry, words, user=user)) is not None:
        reason.detail = message
        return reason
    if _MISSING.search(words):
        return ImageNotFound(
            f"{image.registry} has no {image.path} with the {_version(image)}.",
            hint="See in the registry which there are, and set one of them on the page Source.",
            detail=message,
        )
    return PullFailed(f"{image.title} could not be pulled.", hint=_AGAIN, detail=message)


_AGAIN = "Read the reason below, and deploy again."


def registry_failed(registry: str, message: str, *, user: str) -> PullFailed | None:
    """Why the registry itself did not let anybody in; None when it did."""
    if _LIMITED.search(message):
        return PullFailed(
            f"{registry} gives out no more images for now: its limit is reached.",
            hint="Wait, or add an account of that registry to the project: it is allowed more.",
            detail=message,
        )
    if _DENIED.search(message):
        return _denied(registry, message, user)
    if _PLAIN.search(message):
        return RegistryUnreachable(
            f"{registry} speaks HTTP without TLS.",
            hint="Give it a certificate, or name it under insecure-registries in the engine's "
            "/etc/docker/daemon.json.",
            detail=message,
        )
    if _CERTIFICATE.search(message):
        return RegistryUnreachable(
            f"The certificate of {registry} is not trusted.",
            hint="Put its authority's certificate below /etc/docker/certs.d on the server.",
            detail=message,
        )
    if _NO_HOST.search(message):
        return no_such_registry(registry, message)
    if _SILENT.search(message):
        return RegistryUnreachable(
            f"{registry} does not answer.",
            hint="Check the registry's name and port, and that it runs and this server reaches it.",
            detail=message,
        )
    return None


def is_denied(message: str) -> bool:
    """Whether the registry wants another login, or one at all."""
    return _DENIED.search(message) is not None and _LIMITED.search(message) is None


def no_such_registry(registry: str, detail: str = "") -> RegistryUnreachable:
    return RegistryUnreachable(
        f"There is no registry {registry}: the name leads nowhere.",
        hint="Check its spelling, and that this server can resolve it.",
        detail=detail,
    )


def _denied(registry: str, message: str, user: str) -> RegistryDenied:
    if user:
        return RegistryDenied(
            f"{registry} refused the login of {user}, or does not show the image to it.",
            hint="Check the user and the password or token on the project's page Registries, and "
            "what they may read.",
            detail=message,
        )
    return RegistryDenied(
        f"{registry} does not show the image to everybody, or does not have it.",
        hint="Check its name. For a private one add a login on the project's page Registries.",
        detail=message,
    )


def _version(image: ImageName) -> str:
    if image.digest:
        return f"digest {image.digest[:19]}…"
    return f"tag {image.tag}"
