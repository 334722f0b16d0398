"""Whether a certificate that somebody brings can be served.

Everything that would only show when a visitor comes is found here, and said of the field that it
is in: a key of another certificate, a chain with a hole, a certificate that has ended.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from apps.engine.certificates import (
    Facts,
    KeyPair,
    called,
    covers,
    facts_of,
    listed,
    pem_of,
    system_roots,
)
from apps.engine.errors import CertificateRefused

CHAIN_MAX, KEY_MAX = 64 * 1024, 16 * 1024
"""Bytes of a chain, and of a key."""
LINKS_MAX = 10
RSA_MIN = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_BROKEN = (hashes.MD5, hashes.SHA1)
_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_BEGIN_KEY = "PRIVATE KEY-----"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def check_key_pair(
    *,
    chain: str,
    key: str,
    now: dt.datetime,
    host: str = "",
    roots: Collection[x509.Certificate] | None = None,
) -> tuple[Facts, KeyPair]:
    """The certificate and its key, the chain in order, if they can be served: for `host` where one
    is given, which may be a wildcard. `roots` are those of this machine unless they are given.

    Raises `CertificateRefused`.
    """
    found = _read_chain(chain)
    private = _read_key(key)
    leaf, rest = _find_leaf(found, private)
    links = _in_order(leaf, rest)
    _check_leaf(leaf)
    for link in links:
        _check_link(link, is_leaf=link is leaf, now=now)
    _check_end(links, system_roots() if roots is None else roots)
    facts = facts_of(leaf)
    if not facts.names:
        raise CertificateRefused(
            "chain", "This certificate names no host: browsers look at its alternative names only."
        )
    if host and not covers(facts.names, host):
        raise CertificateRefused(
            "chain", f"This certificate is for {listed(facts.names)}, not for {host}."
        )
    return facts, KeyPair("".join(pem_of(link) for link in links), _key_pem(private))


def browsers_know(chain: str, roots: Collection[x509.Certificate] | None = None) -> bool:
    """Whether a chain that was checked leads to an authority of this machine's list, or of `roots`.
    Without a list nobody can tell: then it does."""
    last = x509.load_pem_x509_certificates(chain.encode())[-1]
    return _is_known(last, system_roots() if roots is None else roots)


# ---------------------------------------------------------------------------------------- reading


def _read_chain(text: str) -> list[x509.Certificate]:
    if len(text.encode()) > CHAIN_MAX:
        raise CertificateRefused("chain", f"A chain has at most {CHAIN_MAX // 1024} KB.")
    if _BEGIN_KEY in text:
        raise CertificateRefused(
            "chain", "This holds a private key: it belongs in its own field, and nowhere else."
        )
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRefused(
            "chain",
            "This is no certificate in PEM form: text from -----BEGIN CERTIFICATE----- to "
            "-----END CERTIFICATE-----.",
        ) from error
    if len(found) > LINKS_MAX:
        raise CertificateRefused("chain", f"A chain has at most {LINKS_MAX} certificates.")
    once = {one.fingerprint(hashes.SHA256()): one for one in found}
    return list(once.values())


def _read_key(text: str) -> Key:
    if len(text.encode()) > KEY_MAX:
        raise CertificateRefused("key", f"A key has at most {KEY_MAX // 1024} KB.")
    try:
        found = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise CertificateRefused(
            "key",
            "This key is encrypted with a password. Take that away first: openssl pkey -in key.pem",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # What the library says may quote the text.
        raise CertificateRefused(
            "key",
            "This is no private key in PEM form: text from -----BEGIN PRIVATE KEY----- (or RSA or "
            "EC PRIVATE KEY) to its end.",
        ) from error
    if isinstance(found, rsa.RSAPrivateKey) and found.key_size < RSA_MIN:
        raise CertificateRefused(
            "key", f"This RSA key has {found.key_size} bits. Browsers want {RSA_MIN} at least."
        )
    if isinstance(found, ec.EllipticCurvePrivateKey) and isinstance(found.curve, _CURVES):
        return found
    if isinstance(found, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return found
    raise CertificateRefused(
        "key",
        "A key of this kind cannot be served: RSA, ECDSA (P-256, P-384, P-521) and Ed25519 can.",
    )


def _find_leaf(
    found: list[x509.Certificate], key: Key
) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The certificate that the key belongs to, wherever it stands, and the others."""
    wanted = _public(key.public_key())
    for one in found:
        if _public(_key_of(one)) == wanted:
            return one, [other for other in found if other is not one]
    raise CertificateRefused(
        "key", f"This key belongs to another certificate than that of {called(found[0].subject)}."
    )


def _in_order(leaf: x509.Certificate, rest: list[x509.Certificate]) -> list[x509.Certificate]:
    """The chain from the leaf on, however it was pasted."""
    links, left = [leaf], list(rest)
    while issuer := next((one for one in left if _signed(links[-1], by=one)), None):
        links.append(issuer)
        left.remove(issuer)
    if left:
        raise CertificateRefused(
            "chain",
            f"{called(left[0].subject)} has signed nothing in this chain. "
            f"{called(links[-1].subject)} was signed by {called(links[-1].issuer)}.",
        )
    return links


# ----------------------------------------------------------------------------------------- checks


def _check_leaf(leaf: x509.Certificate) -> None:
    if _is_authority(leaf):
        raise CertificateRefused(
            "chain",
            "This is the certificate of an authority, which signs others. One for a server is "
            "needed.",
        )
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not _SERVERS & set(uses):
        raise CertificateRefused("chain", "This certificate is not for servers.")


def _check_link(link: x509.Certificate, *, is_leaf: bool, now: dt.datetime) -> None:
    whose = "This certificate" if is_leaf else f"The certificate of {called(link.subject)}"
    if now >= link.not_valid_after_utc:
        raise CertificateRefused(
            "chain", f"{whose} ended on {_day(link.not_valid_after_utc)}.", hint="Renew it first."
        )
    if now < link.not_valid_before_utc:
        raise CertificateRefused(
            "chain", f"{whose} is valid from {_day(link.not_valid_before_utc)} on only."
        )
    if not is_leaf and not _is_authority(link):
        raise CertificateRefused("chain", f"{whose} is not one of an authority.")
    public = _key_of(link)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < RSA_MIN:
        raise CertificateRefused("chain", f"{whose} has an RSA key of {public.key_size} bits only.")
    # Of a root nobody looks at the signature: it is trusted for what it is.
    if isinstance(_signature_hash(link), _BROKEN) and not (_signed(link, by=link) and not is_leaf):
        raise CertificateRefused(
            "chain", f"{whose} is signed with SHA-1 or MD5, which browsers refuse."
        )


def _check_end(links: Sequence[x509.Certificate], roots: Collection[x509.Certificate]) -> None:
    """See that browsers find from the last one to an authority that they know. A machine without a
    list of authorities cannot tell."""
    last = links[-1]
    if not _signed(last, by=last) and not _is_known(last, roots):
        raise CertificateRefused(
            "chain",
            f"The certificate of {called(last.issuer)}, which signed "
            f"{called(last.subject)}, is missing.",
            hint="Add it below. Of an authority of your own, add its root.",
        )


def _is_known(last: x509.Certificate, roots: Collection[x509.Certificate]) -> bool:
    signed = (root.subject == last.issuer and _signed(last, by=root) for root in roots)
    return not roots or any(signed)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signed(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _signature_hash(certificate: x509.Certificate) -> hashes.HashAlgorithm | None:
    """None where the signature brings its own (Ed25519)."""
    try:
        return certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None


def _key_of(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRefused(
            "chain", f"The key in the certificate of {called(certificate.subject)} cannot be read."
        ) from error


def _day(moment: dt.datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def _key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _public(key: object) -> bytes:
    assert hasattr(key, "public_bytes")
    found: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found
