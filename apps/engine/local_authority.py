"""An authority of this Mist's own, for names that no public one certifies: `*.localhost`, names of
a private network. Who trusts its root sees no warning."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apps.engine.certificates import KeyPair, pem_of

ROOT_DAYS = 3650
LEAF_DAYS = 90
"""Browsers refuse more than 398 (CA/Browser Forum, section 6.3.2), Apple's 825 for own roots."""
RENEW_DAYS = 30
"""So long before its end a leaf gets a successor."""
_SLACK = dt.timedelta(hours=1)
"""Clocks differ."""


def make_root(*, name: str, now: dt.datetime) -> KeyPair:
    """A root that signs leaves only, no authority below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mist local authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Mist {name}"[:64]),
        ]
    )
    root = (
        _begin(subject, key, now, ROOT_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(pem_of(root), _key_pem(key))


def issue_leaf(root: KeyPair, *, host: str, now: dt.datetime) -> KeyPair:
    """A certificate for this one name, with a new key. Raises `ValueError` for a root that cannot
    be read."""
    signer = x509.load_pem_x509_certificate(root.chain.encode())
    signing_key = serialization.load_pem_private_key(root.key.encode(), password=None)
    if not isinstance(signing_key, ec.EllipticCurvePrivateKey):
        raise ValueError("Not a key of a local authority.")
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has 64 characters at most; browsers read the alternative names.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)] if len(host) <= 64 else [])
    alternative = x509.SubjectAlternativeName([x509.DNSName(host)])
    leaf = (
        _begin(subject, key, now, LEAF_DAYS)
        .issuer_name(signer.subject)
        .add_extension(alternative, critical=not list(subject))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
        .sign(signing_key, hashes.SHA256())
    )
    return KeyPair(pem_of(leaf), _key_pem(key))


def _begin(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(identifier, critical=False)
    )


def _usage(*, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
