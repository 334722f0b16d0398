"""How a repository is opened: what git is given so that it reaches it, and nobody else's secrets.

A password goes through the environment to `askpass.sh`, which answers the repository's own host
alone; a key lies in a private file while git runs. Neither is ever on a command line, in a
repository's configuration or in an address.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from apps.engine.data import GitAccess
from apps.engine.egress import Rules
from apps.engine.egress_proxy import guarded_environment
from apps.engine.errors import CloneFailed
from apps.engine.git_errors import ACCESS_PAGE
from apps.engine.known_hosts import known_hosts_text
from apps.engine.private_files import private_files
from apps.engine.repository_place import is_near, place_of
from apps.engine.ssh import KEY, KNOWN_HOSTS, ssh_words

_ASKPASS = Path(__file__).with_name("askpass.sh")


def default_room() -> Path:
    """Where keys lie for a moment when nobody says where: a folder of this user's own."""
    return Path(tempfile.gettempdir()) / f"mist-keys-{os.geteuid()}"


@dataclass(frozen=True)
class Way:
    """An opened repository."""

    url: str
    access: GitAccess
    rules: Rules
    environment: dict[str, str]
    """For git."""
    ssh: tuple[str, ...] = ()
    """For a command on its SSH server: up to the server's name."""


@contextlib.contextmanager
def opened(url: str, access: GitAccess | None, rules: Rules, room: Path) -> Iterator[Way]:
    """The way to the repository at `url` (an address that has been checked), while the context
    lasts. Raises `CloneFailed` where a credential is missing or must not be sent."""
    access = access or GitAccess()
    if place_of(url).scheme != "ssh":
        yield Way(url, access, rules, {**guarded_environment(rules), **_login(url, access)})
        return
    if not access.ssh_key:
        raise CloneFailed(
            "The repository's address is one for SSH, and the app has no deploy key.",
            hint=f"Make a key {ACCESS_PAGE}, or use the https:// address of the repository.",
        )
    files = {
        KEY: access.ssh_key.rstrip("\n") + "\n",
        KNOWN_HOSTS: known_hosts_text(access.known_hosts),
    }
    with private_files(room, files) as folder:
        words = ssh_words(rules, folder)
        yield Way(url, access, rules, {"GIT_SSH_COMMAND": shlex.join(words)}, tuple(words))


def access_elsewhere(access: GitAccess, own: str, other: str) -> GitAccess:
    """What opens a repository that another one names: the same where both are at one place, else
    nothing but what anybody may fetch."""
    if own and place_of(own) == place_of(other):
        return access
    return replace(access, username="", password="", ssh_key="")


def _login(url: str, access: GitAccess) -> dict[str, str]:
    if not access.password:
        return {}
    place = place_of(url)
    if place.scheme == "http" and not is_near(place.host):
        raise CloneFailed(
            f"Mist does not send a token to {place.host} unencrypted.",
            hint="Use the https:// address of the repository.",
        )
    scheme, _, rest = url.partition("://")
    shown = rest.partition("/")[0]
    # In a prompt git shows the name as it is, or encoded: newer ones do.
    user = quote(access.username, safe="")
    return {
        "GIT_ASKPASS": str(_ASKPASS),
        "MIST_GIT_PLACE": f"{scheme}://{shown}",
        "MIST_GIT_PLACE_AS_USER": f"{scheme}://{user}@{shown}",
        "MIST_GIT_USERNAME": access.username,
        "MIST_GIT_PASSWORD": access.password,
    }
