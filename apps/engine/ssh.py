"""How ssh is run: with one key, for servers whose keys are known, and to where `egress` lets it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from apps.engine import egress
from apps.engine.egress import Rules

KEY = "key"
KNOWN_HOSTS = "known_hosts"
"""Names of the files in the folder that `ssh_words` is given."""


def ssh_words(rules: Rules, folder: Path, *more: str) -> list[str]:
    """The command up to the server's name; `more` are options of ssh_config(5).

    Nothing of the machine's user is looked at: no configuration, no agent, no key, no known_hosts.
    """
    options = (
        *("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15"),
        *more,
        *("StrictHostKeyChecking=yes", "UpdateHostKeys=no", "HashKnownHosts=no"),
        f"UserKnownHostsFile={_path(folder / KNOWN_HOSTS)}",
        "GlobalKnownHostsFile=/dev/null",
        *("IdentitiesOnly=yes", "IdentityAgent=none", f"IdentityFile={_path(folder / KEY)}"),
        *("PreferredAuthentications=publickey", "ProxyUseFdpass=yes"),
        f"ProxyCommand={_through_egress(rules)}",
    )
    return ["ssh", "-F", "/dev/null", *(f"-o{option}" for option in options)]


def _path(path: Path) -> str:
    """ssh cuts at spaces and takes % for its own."""
    return f'"{str(path).replace("%", "%%")}"'


def _through_egress(rules: Rules) -> str:
    words = [sys.executable, "-I", "-S", egress.__file__]
    # Two readers: ssh takes % for its own, and gives the rest to a shell.
    return shlex.join(words).replace("%", "%%") + " %h %p " + shlex.join(rules.words())
