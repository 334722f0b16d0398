"""How Traefik gets certificates from an ACME issuer (RFC 8555): its resolvers, as data.

Credentials of DNS providers are in no file and on no command line: Traefik has them in its
environment.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
HTTP_RESOLVER, TLS_RESOLVER, DNS_RESOLVER = "mist-http", "mist-tls", "mist-dns-"
USUAL_HOURS = 90 * 24
FOLDER = "acme"
"""Below Traefik's own: account keys and certificates, a file for each issuer."""


@dataclass(frozen=True)
class DnsAccount:
    """Credentials for one DNS provider, with which names are proven by a TXT record (DNS-01)."""

    number: int
    """Names its resolver."""
    provider: str
    """As lego calls it, for example `cloudflare`."""
    variables: Mapping[str, str] = field(repr=False)
    servers: tuple[str, ...] = ()
    """DNS servers (`192.0.2.1:53`) that are asked whether the record is there; empty for the
    machine's own."""
    wait_seconds: int = 0
    """How long nobody looks for the record."""
    looks: bool = True
    """Whether the record has to be seen before the issuer is told of it."""

    @property
    def resolver(self) -> str:
        return f"{DNS_RESOLVER}{self.number}"


@dataclass(frozen=True)
class Issuing:
    """Who issues certificates, to whom, and how names are proven."""

    directory: str = LETS_ENCRYPT
    email: str = ""
    eab_key_id: str = ""
    eab_key: str = field(default="", repr=False)
    """External account binding (RFC 8555, 7.3.4): base64url, as the issuer gives it."""
    lifetime_hours: int = USUAL_HOURS
    """Of the issuer's certificates: how long before its end one is renewed follows from it."""
    accounts: tuple[DnsAccount, ...] = ()


def storage_name(directory: str) -> str:
    """The issuer's own file: what another one has issued is not taken for its work."""
    host = re.sub(r"[^a-z0-9.-]", "", (urlsplit(directory).hostname or "").lower())
    return f"{host}-{hashlib.sha256(directory.encode()).hexdigest()[:8]}.json"


def resolvers(issuing: Issuing, *, folder: Path) -> dict[str, Any]:
    """`certificatesResolvers` of Traefik's static configuration. All are there at any time, so
    that the first name to have a certificate needs no restart."""
    common: dict[str, Any] = {
        "caServer": issuing.directory,
        "storage": str(folder / storage_name(issuing.directory)),
        "keyType": "EC256",
        "certificatesDuration": issuing.lifetime_hours,
    }
    if issuing.email:
        common["email"] = issuing.email
    if issuing.eab_key_id:
        common["eab"] = {"kid": issuing.eab_key_id, "hmacEncoded": issuing.eab_key}
    ways: dict[str, dict[str, Any]] = {
        HTTP_RESOLVER: {"httpChallenge": {"entryPoint": "web"}},
        TLS_RESOLVER: {"tlsChallenge": {}},
    }
    ways |= {one.resolver: {"dnsChallenge": _dns_challenge(one)} for one in issuing.accounts}
    return {name: {"acme": common | way} for name, way in ways.items()}


def resolvers_text(issuing: Issuing, *, folder: Path) -> str:
    """As part of the file: JSON is YAML."""
    return json.dumps(resolvers(issuing, folder=folder), indent=1, sort_keys=True)


def environment(issuing: Issuing, *, folder: Path, ca_file: str = "") -> dict[str, str]:
    """What Traefik's process has beside everything else."""
    found = {name: value for one in issuing.accounts for name, value in one.variables.items()}
    if any(one.provider == "acme-dns" for one in issuing.accounts):
        # Where it keeps the accounts that it makes there by itself.
        found["ACME_DNS_STORAGE_PATH"] = str(folder / "acme-dns.accounts")
    if ca_file:
        # Beside the ones that the machine trusts, not instead of them.
        found |= {"LEGO_CA_CERTIFICATES": ca_file, "LEGO_CA_SYSTEM_CERT_POOL": "true"}
    return found


def _dns_challenge(account: DnsAccount) -> dict[str, Any]:
    found: dict[str, Any] = {"provider": account.provider}
    if account.servers:
        found["resolvers"] = list(account.servers)
    propagation: dict[str, Any] = {}
    if account.wait_seconds:
        propagation["delayBeforeChecks"] = f"{account.wait_seconds}s"
    if not account.looks:
        propagation["disableChecks"] = True
    return found | ({"propagation": propagation} if propagation else {})
