"""Which GitHub: github.com, or an Enterprise Server at an address that somebody types."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from apps.engine.errors import InvalidSource
from apps.engine.sources import check_port, check_repository_url

_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
_EXAMPLE = "for example https://github.example.com"
_CLOUD = ".ghe.com"
"""GitHub Enterprise Cloud with data residency: its API has a host of its own."""


@dataclass(frozen=True)
class GitHubAddress:
    html_url: str
    """Its pages, without a slash at the end."""
    api_url: str

    @property
    def host(self) -> str:
        """With its port where it has one."""
        return urlsplit(self.html_url).netloc


GITHUB_COM = GitHubAddress("https://github.com", "https://api.github.com")


def check_github(text: str, *, localhost: bool) -> GitHubAddress:
    """The server at that address; github.com for an empty one. `localhost` lets one on this
    machine be asked without TLS. Raises `InvalidSource`."""
    if not text:
        return GITHUB_COM
    try:
        # The rules for hosts are those for repositories; a path makes it one.
        parts = urlsplit(check_repository_url(f"{text.rstrip('/')}/x"))
        port = parts.port
    except ValueError:
        raise InvalidSource(f"Give the address of its pages alone, {_EXAMPLE}.") from None
    if parts.path != "/x" or parts.scheme not in ("https", "http"):
        raise InvalidSource(f"Give the address of its pages alone, {_EXAMPLE}.")
    if parts.scheme == "http" and not (localhost and _is_here(parts.hostname or "")):
        raise InvalidSource(f"GitHub is asked over https:// only: keys go there, {_EXAMPLE}.")
    if port is not None:
        check_port(str(port))
    html_url = f"{parts.scheme}://{parts.netloc}"
    if parts.hostname in ("github.com", "www.github.com", "api.github.com"):
        return GITHUB_COM
    if (parts.hostname or "").endswith(_CLOUD):
        return GitHubAddress(html_url, f"https://api.{parts.netloc}")
    return GitHubAddress(html_url, f"{html_url}/api/v3")


def check_account(text: str) -> str:
    """The name of an organisation, as GitHub has them. Raises `InvalidSource`."""
    if _LOGIN.fullmatch(text) is None:
        raise InvalidSource(
            "The name of an organisation has letters, digits and '-', for example halden."
        )
    return text


def is_reachable(host: str, *, from_internet: bool) -> bool:
    """Whether a server elsewhere can reach that host name or address at all: this machine's own
    never, private ones only from within (not `from_internet`)."""
    name = host.lower().strip("[].")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if name == "localhost" or name.endswith(".localhost"):
            return False
        private = "." not in name or name.endswith((".local", ".internal", ".lan", ".home.arpa"))
        return not (private and from_internet)
    if address.is_loopback or address.is_unspecified or address.is_link_local:
        return False
    return address.is_global or not from_internet


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
