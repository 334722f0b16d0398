"""What a visitor gets as a certificate: a TLS handshake with the proxy itself, by name."""

from __future__ import annotations

import datetime as dt
import enum
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from apps.engine.certificates import WILD, Facts, called, covers, facts_of
from apps.engine.errors import ProxyUnavailable

TIMEOUT = 3.0
SAMPLE = "mist-check."
"""In place of a wildcard's star: some name below it is asked for."""
_DEFAULT = "TRAEFIK DEFAULT CERT"


class Trust(enum.StrEnum):
    """Who vouches for a certificate."""

    PUBLIC = "public"
    """An authority that this machine knows, and so do browsers."""
    LOCAL = "local"
    """This Mist's own authority."""
    NONE = ""


@dataclass(frozen=True)
class Seen:
    """The certificate that was served for a name."""

    facts: Facts
    protocol: str
    """`TLSv1.3`"""
    trust: Trust
    """For this very name, now."""
    problem: str = ""
    """Why nobody vouches for it, in words."""


def look(where: tuple[str, int], *, host: str, root: str = "", ca_file: str = "") -> Seen | None:
    """What is served at `where` for `host`; for a wildcard, for some name below it. None while
    there is no certificate but the one that Traefik makes for itself. `root` is that of this Mist's
    own authority, as PEM; `ca_file` has those that count as known besides, where it is there.

    Raises `ProxyUnavailable` when nobody answers there.
    """
    name = f"{SAMPLE}{host.removeprefix(WILD)}" if host.startswith(WILD) else host
    any_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    any_context.check_hostname = False
    any_context.verify_mode = ssl.CERT_NONE
    try:
        der, protocol = _shake(where, name, any_context)
    except ssl.SSLError:
        return None
    leaf = x509.load_der_x509_certificate(der)
    if called(leaf.subject) == _DEFAULT:
        return None
    trust, problem = Trust.PUBLIC, _problem(where, name, _known(ca_file))
    if problem and root and not _problem(where, name, ssl.create_default_context(cadata=root)):
        trust, problem = Trust.LOCAL, ""
    facts = facts_of(leaf)
    if problem:
        trust, problem = Trust.NONE, _in_words(facts, name, problem)
    return Seen(facts, protocol, trust, problem)


def _known(ca_file: str) -> ssl.SSLContext:
    """The machine's own authorities, and those of the file."""
    context = ssl.create_default_context()
    try:
        if ca_file and Path(ca_file).is_file():
            context.load_verify_locations(ca_file)
    except ssl.SSLError:
        # The doctor says that there is no certificate in it.
        pass
    return context


def _problem(where: tuple[str, int], name: str, context: ssl.SSLContext) -> str:
    """Why a client with these roots refuses; empty when it does not."""
    try:
        _shake(where, name, context)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message or "it is not trusted"
    except ssl.SSLError as error:
        return error.reason or "the handshake failed"
    return ""


def _shake(where: tuple[str, int], name: str, context: ssl.SSLContext) -> tuple[bytes, str]:
    """The leaf and the protocol."""
    try:
        with (
            socket.create_connection(where, timeout=TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            return secure.getpeercert(binary_form=True) or b"", secure.version() or ""
    except ssl.SSLError:
        raise
    except OSError as error:
        raise ProxyUnavailable(
            "Traefik does not answer on its HTTPS port.",
            hint="Run ./mist up, or ./mist doctor to see why.",
        ) from error


def _in_words(facts: Facts, name: str, problem: str) -> str:
    """OpenSSL's reason as people say it."""
    now = dt.datetime.now(dt.UTC)
    if now >= facts.not_after:
        return "It has ended."
    if now < facts.not_before:
        return "It is not valid yet."
    if not covers(facts.names, name):
        return "It is for other names."
    if "self-signed" in problem or "self signed" in problem or "local issuer" in problem:
        return "Browsers do not know who signed it."
    return f"Browsers refuse it: {problem}."
