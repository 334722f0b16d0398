"""Ask an SSH server for its keys, as `ssh-keyscan` does, but only where `egress` lets it: so ssh
itself connects, once for each kind of key, and goes before anybody logs in."""

from __future__ import annotations

from pathlib import Path

from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import CloneFailed
from apps.engine.git_errors import explain
from apps.engine.git_process import run_program
from apps.engine.known_hosts import HostKey, name_of, parse_line
from apps.engine.private_files import private_files
from apps.engine.ssh import KNOWN_HOSTS, ssh_words

_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
)


def host_keys(
    host: str, port: int, rules: Rules, room: Path, deadline: Deadline
) -> tuple[HostKey, ...]:
    """See `base.Git.host_keys`."""
    found: list[HostKey] = []
    for kind in _KINDS:
        key, said = _shown(host, port, kind, rules, room, deadline)
        if key is not None:
            found.append(key)
        elif not found and (reason := explain(said, _address(host, port))) is not None:
            raise reason
    if not found:
        raise CloneFailed(
            f"{host} shows no SSH key at port {port}.",
            hint="Check host and port of the repository's address.",
        )
    return tuple(found)


def _shown(
    host: str, port: int, kind: str, rules: Rules, room: Path, deadline: Deadline
) -> tuple[HostKey | None, tuple[str, ...]]:
    with private_files(room, {KNOWN_HOSTS: ""}) as folder:
        # The first value of an option counts.
        more = ("StrictHostKeyChecking=accept-new", f"HostKeyAlgorithms={kind}")
        words = ssh_words(rules, folder, *more, "PubkeyAuthentication=no", "LogLevel=ERROR")
        output = run_program([*words, f"-p{port}", "--", f"git@{host}", "true"], deadline=deadline)
        lines = (folder / KNOWN_HOSTS).read_text().splitlines()
    keys = (parse_line(line) for line in lines)
    wanted = name_of(host, port)
    key = next((key for key in keys if key and name_of(key.host, key.port) == wanted), None)
    return key, output.lines


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"ssh://git@{shown}/" if port == 22 else f"ssh://git@{shown}:{port}/"
