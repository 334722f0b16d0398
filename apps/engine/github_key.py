"""What a GitHub App shows to prove that it is one: a JSON Web Token signed with its key.

GitHub: "Generating a JSON Web Token (JWT) for a GitHub App"; RFC 7515, RFC 7518 (RS256).
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from apps.engine.github_errors import GitHubKeyRefused

CLOCK_SECONDS = 60
"""How far this machine's clock may be ahead of GitHub's."""
LIFE_SECONDS = 540
"""GitHub takes ten minutes at most, and its clock may be behind."""


@dataclass(frozen=True)
class AppKey:
    """A GitHub App, and what proves that Mist is it."""

    api_url: str
    app_id: int
    private_key: str = field(repr=False)
    """PEM."""


def app_token(key: AppKey) -> str:
    """Good for nine minutes. Raises `GitHubKeyRefused` when the key is none of RSA."""
    now = int(time.time())
    claims = {"iat": now - CLOCK_SECONDS, "exp": now + LIFE_SECONDS, "iss": str(key.app_id)}
    signed = f"{_packed({'alg': 'RS256', 'typ': 'JWT'})}.{_packed(claims)}"
    try:
        private = serialization.load_pem_private_key(key.private_key.encode(), password=None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise GitHubKeyRefused(
            "The private key of the GitHub App cannot be read.",
            hint="Delete the app on Mist's page GitHub and make it again.",
        )
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_text(signature)}"


def _packed(claims: dict[str, object]) -> str:
    return _text(json.dumps(claims, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
