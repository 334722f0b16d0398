"""What is in a certificate: whom it is for, who signed it, until when."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

WILD = "*."
_END = b"-----END CERTIFICATE-----"
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True)
class KeyPair:
    """A certificate that can be served, and its key, both as PEM."""

    chain: str
    """Leaf first, each signed by the next."""
    key: str = field(repr=False)


@dataclass(frozen=True)
class Facts:
    """What a certificate says."""

    names: tuple[str, ...]
    """Host names that it is for, in lower case; `*.example.com` for every name directly below."""
    issuer: str
    """Who signed it, as people call them."""
    not_before: dt.datetime
    not_after: dt.datetime
    fingerprint: str
    """SHA-256 of the certificate, 64 hexadecimal digits."""


def facts_of(certificate: x509.Certificate) -> Facts:
    names: tuple[str, ...] = ()
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = tuple(
            dict.fromkeys(n.lower() for n in found.value.get_values_for_type(x509.DNSName))
        )
    except (x509.ExtensionNotFound, ValueError):
        pass
    return Facts(
        names=names,
        issuer=organisation(certificate.issuer),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def covers(names: Collection[str], host: str) -> bool:
    """Whether a certificate for these names is for `host`, which may be a wildcard itself
    (RFC 6125, section 6.4.3: a star stands for one whole label, the first)."""
    _, _, parent = host.partition(".")
    return host in names or (not host.startswith(WILD) and f"{WILD}{parent}" in names)


def listed(names: Sequence[str], most: int = 3) -> str:
    """`a, b and 4 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


@lru_cache(maxsize=1)
def system_roots() -> tuple[x509.Certificate, ...]:
    """The authorities that this machine trusts; none where it has no such list."""
    given = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    for path in filter(None, (given, *_BUNDLES)):
        try:
            text = Path(path).read_bytes()
        except OSError:
            continue
        if found := tuple(_readable(text)):
            return found
    return ()


def _readable(text: bytes) -> Iterator[x509.Certificate]:
    """One by one: old authorities break rules that are younger than they are."""
    for block in text.split(_END)[:-1]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                found = x509.load_pem_x509_certificate(block + _END)
        except (ValueError, UnsupportedAlgorithm):
            continue
        yield found


def organisation(name: x509.Name) -> str:
    """What people call an authority: Let's Encrypt has `C=US, O=Let's Encrypt, CN=R11`."""
    return _said(name, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)


def called(name: x509.Name) -> str:
    """The very one: `R11`."""
    return _said(name, NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _said(name: x509.Name, *kinds: x509.ObjectIdentifier) -> str:
    for kind in kinds:
        for one in name.get_attributes_for_oid(kind):
            text = "".join(c for c in str(one.value) if c.isprintable()).strip()
            if text:
                return text[:100]
    return "an authority without a name"
