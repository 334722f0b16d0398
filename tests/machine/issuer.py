"""Authorities for tests, which sign what a test asks for, good or bad."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apps.engine.certificates import KeyPair, pem_of

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Issuer:
    """Signs leaves and authorities below it."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return pem_of(self.certificate)

    def below(self, name: str = "Test intermediate", **changes: Any) -> Issuer:
        key = ec.generate_private_key(ec.SECP256R1())
        return Issuer(_sign(name, (), key, self, ca=True, **changes), key)

    def leaf(self, *names: str, key: Any = None, **changes: Any) -> KeyPair:
        """The leaf alone, without the issuer's own certificate."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        return KeyPair(
            pem_of(_sign(names[0] if names else "x", names, key, self, **changes)), key_pem(key)
        )

    def chained(self, *names: str, **changes: Any) -> KeyPair:
        pair = self.leaf(*names, **changes)
        return KeyPair(pair.chain + self.pem, pair.key)


def make_authority(name: str = "Test root", **changes: Any) -> Issuer:
    key = changes.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
    return Issuer(_sign(name, (), key, None, ca=True, **changes), key)


def self_signed(*names: str, **changes: Any) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    return KeyPair(pem_of(_sign(names[0], names, key, None, **changes)), key_pem(key))


def key_pem(key: Any, password: bytes | None = None) -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return text.decode()


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _sign(
    name: str,
    names: tuple[str, ...],
    key: Any,
    issuer: Issuer | None,
    *,
    ca: bool = False,
    begins: dt.timedelta = -DAY,
    ends: dt.timedelta = 60 * DAY,
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    organisation: str = "",
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    subject = x509.Name(parts)
    signing = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
            critical=False,
        )
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternative, critical=False)
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    if isinstance(signing, ed25519.Ed25519PrivateKey):
        return builder.sign(signing, None)
    return builder.sign(signing, hashes.SHA256())
