"""Keys for SSH that Mist makes: one for each app, so that losing one opens one repository."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True)
class DeployKey:
    public: str
    """One line, as a Git host takes it and `authorized_keys` has it."""
    private: str = field(repr=False)
    """As OpenSSH writes it."""


def new_deploy_key(comment: str) -> DeployKey:
    """An Ed25519 key (RFC 8709). `comment` says at the Git host whose it is."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return DeployKey(f"{public} {comment}", private)
