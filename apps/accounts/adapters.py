"""What django-allauth asks of Mist. Its views are not used: only its models, its arithmetic of
codes and its handling of passkeys."""

from __future__ import annotations

from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port

from apps.accounts.client import client_address
from apps.projects.fields import decrypt, encrypt

UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104 - no socket is bound to it
"""Of a session whose address nobody knows: the column may not be empty."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up, and addresses are Mist's own matter."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or UNKNOWN_ADDRESS


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seeds are encrypted at rest; passkeys belong to the name that people reach Mist by."""

    def encrypt(self, text: str) -> str:
        return encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Mist"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The browser checks the name against the page's address, and signs it: one from a made-up
        Host header fits no page of ours."""
        host = urlsplit(settings.MIST_URL).hostname
        return {"id": host or split_domain_port(context.request.get_host())[0], "name": "Mist"}
