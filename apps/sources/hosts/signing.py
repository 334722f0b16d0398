"""Whether a message is from who knows the secret: found out over the bytes as they came, before
anything in them is read.

Sources: GitHub Docs, "Validating webhook deliveries"; Gitea Documentation, "Webhooks"; Atlassian
Support, "Manage webhooks" (all HMAC-SHA256 of the body); GitLab Docs, "Webhooks" (the secret
itself in a header).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from django.views.decorators.debug import sensitive_variables

from apps.sources.models import HostKind

HEADERS: dict[str, tuple[str, ...]] = {
    HostKind.GITHUB: ("X-Hub-Signature-256",),
    HostKind.GITEA: ("X-Gitea-Signature", "X-Forgejo-Signature", "X-Hub-Signature-256"),
    HostKind.BITBUCKET: ("X-Hub-Signature",),
    HostKind.GITLAB: ("X-Gitlab-Token",),
}
"""Where each kind of host says it; the first that is there counts."""
_BARE = ("X-Gitea-Signature", "X-Forgejo-Signature")
_ALGORITHM = "sha256="


class BadSignature(Exception):
    """The message is from nobody who knows the secret, as far as it shows."""


@sensitive_variables()
def check(kind: str, secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Return when the message is signed with the secret. Raises `BadSignature`."""
    found = next(((name, headers[name]) for name in HEADERS[kind] if name in headers), None)
    if found is None:
        raise BadSignature(f"no signature: the host sent no {HEADERS[kind][0]}")
    if not secret:
        # Anybody can sign with nothing.
        raise BadSignature("bad signature: the webhook has no secret")
    name, given = found
    if kind == HostKind.GITLAB:
        wanted = secret
    else:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        wanted = digest if name in _BARE else _ALGORITHM + digest
    # Of bytes: texts are compared in constant time only as far as they are ASCII.
    if not hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
        raise BadSignature("bad signature")
