"""What people type for an app's traffic rules, checked before it comes near the proxy."""

from __future__ import annotations

import ipaddress
import re

import bcrypt

from apps.engine.errors import InvalidSource

MAX_ADDRESSES, MAX_HEADERS, MAX_USERS = 200, 30, 50
MAX_HEADER_VALUE = 4_000
LEAST_PASSWORD, MAX_PASSWORD = 8, 72
"""Characters, and bytes: bcrypt reads no more."""
HASH_ROUNDS = 6
"""Each one more doubles the work. The proxy does it for every request that it lets in: measured
with Traefik 3.7, a request takes 4 ms at 6 and 15 at 8, and a page has 50 of them."""
_USER = re.compile(r"[A-Za-z0-9._@+-]{1,64}")
_HASH = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_FRAMING = frozenset(
    {
        *("connection", "content-length", "content-encoding", "date", "host", "keep-alive"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "www-authenticate"),
    }
)
"""Headers that say how the answer itself is sent (RFC 9110, 7.6.1): another word breaks it."""


def check_networks(text: str) -> list[str]:
    """Addresses and networks, one a line or separated by commas, as the proxy takes them. A network
    may be written with any address of it. Raises `InvalidSource`, which names the wrong one."""
    found: list[str] = []
    for word in re.split(r"[\s,]+", text.strip()):
        if word and (network := _network(word)) not in found:
            found.append(network)
    if len(found) > MAX_ADDRESSES:
        raise InvalidSource(f"There are at most {MAX_ADDRESSES} addresses.")
    return found


def _network(word: str) -> str:
    # A zone (fe80::1%eth0) is of one machine, and the proxy knows none.
    if "%" not in word:
        try:
            return str(ipaddress.ip_network(word, strict=False))
        except ValueError:
            pass
    raise InvalidSource(
        f"{word[:60]!r} is no address or network.",
        hint="Write for example 203.0.113.9, 203.0.113.0/24 or 2001:db8::/32.",
    )


def check_user(name: str) -> str:
    """Raises `InvalidSource`."""
    if not _USER.fullmatch(name):
        raise InvalidSource(
            "A user name has 1 to 64 letters, digits and . _ @ + -, for example alice."
        )
    return name


def check_password(password: str) -> str:
    """Raises `InvalidSource` for one that bcrypt would cut off, or browsers could not send."""
    if len(password) < LEAST_PASSWORD:
        raise InvalidSource(f"A password has at least {LEAST_PASSWORD} characters.")
    if len(password.encode()) > MAX_PASSWORD or not password.isprintable():
        raise InvalidSource(
            f"A password has at most {MAX_PASSWORD} bytes, and no control characters."
        )
    return password


def hash_password(password: str) -> str:
    """The password as bcrypt keeps it. Raises `InvalidSource` as `check_password`."""
    check_password(password)
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(HASH_ROUNDS)).decode()


def checked_hash(text: str) -> str:
    """What `hash_password` made. Raises `ValueError`, which does not tell it."""
    if not _HASH.fullmatch(text):
        raise ValueError("Not a hash of a password")
    return text


def check_headers(text: str) -> list[tuple[str, str]]:
    """Response headers, `Name: value` a line; without a value the app's own is taken away. Raises
    `InvalidSource`, which names the wrong line."""
    found: dict[str, tuple[str, str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, value = line.partition(":")
        name = check_header_name(name.strip()) if colon else ""
        if not name:
            raise InvalidSource(f"{line[:60]!r} is no header. Write Name: value.")
        if name.lower() in found:
            raise InvalidSource(f"The header {name} is there twice.")
        found[name.lower()] = (name, check_header_value(name, value.strip()))
    if len(found) > MAX_HEADERS:
        raise InvalidSource(f"There are at most {MAX_HEADERS} headers.")
    return list(found.values())


def check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise InvalidSource(f"{name[:60]!r} is no name of a header, such as X-Frame-Options.")
    if name.lower() in _FRAMING:
        raise InvalidSource(f"{name} says how an answer is sent, and stays the proxy's.")
    return name


def check_header_value(name: str, value: str) -> str:
    if len(value) > MAX_HEADER_VALUE or (value and not _HEADER_VALUE.fullmatch(value)):
        raise InvalidSource(
            f"The value of {name} has at most {MAX_HEADER_VALUE} visible ASCII characters."
        )
    return value
