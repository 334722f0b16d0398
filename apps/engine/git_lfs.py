"""Files that a repository keeps with Git LFS: a pointer is in the commit, the file at a server.

Specified in git-lfs: docs/spec.md (pointers), docs/api/server-discovery.md (where the server is)
and docs/api/batch.md (what it is asked).
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.engine.data import LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import CloneFailed, InvalidSource
from apps.engine.git_access import Way
from apps.engine.git_errors import explain, unexplained
from apps.engine.git_mirror import Mirror
from apps.engine.git_process import run_program
from apps.engine.git_submodules import path_of
from apps.engine.lfs_server import LfsServer, Pointer
from apps.engine.repository_place import place_of
from apps.engine.sources import check_repository_url

_STORE = "lfs"
"""Folder of a mirror with the files that its last checkout needed, by their ids."""
_BATCH = 100
_PIECE = 1024 * 1024
_MAX_POINTER = 1024
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>[0-9]{1,18})\n"
)


@dataclass(frozen=True)
class _Endpoint:
    url: str
    headers: Mapping[str, str]


def bring_large_files(
    mirror: Mirror, way: Way, sha: str, target: Path, log: LineSink, deadline: Deadline
) -> None:
    """Put the files themselves in place of their pointers, in the work tree that was written last.

    What an earlier checkout has brought is not fetched again. Raises `CloneFailed` and what the
    deadline raises.
    """
    pointers = _pointers(mirror, target, deadline)
    store = mirror.path / _STORE
    wanted = {pointer.oid: pointer for pointer in pointers.values()}
    missing = [one for one in wanted.values() if not (store / one.oid).is_file()]
    if missing:
        size = sum(pointer.size for pointer in missing)
        log(f"Fetching {len(missing)} files of Git LFS, {size / 1e6:.1f} MB")
        store.mkdir(exist_ok=True)
        endpoint = _endpoint(mirror, way, sha, deadline)
        server = LfsServer(endpoint.url, endpoint.headers, way, deadline)
        for start in range(0, len(missing), _BATCH):
            server.fetch(missing[start : start + _BATCH], store)
    for path, pointer in pointers.items():
        _replace(target / path, store / pointer.oid, deadline)
    forget_unused(mirror, set(wanted))


def forget_unused(mirror: Mirror, wanted: set[str]) -> None:
    """Keep no file that the last checkout did not need."""
    store = mirror.path / _STORE
    for file in store.iterdir() if store.is_dir() else ():
        if file.name not in wanted:
            file.unlink(missing_ok=True)


def _pointers(mirror: Mirror, target: Path, deadline: Deadline) -> dict[str, Pointer]:
    """Path → pointer, of files whose attributes say that LFS has them."""
    output = mirror.git(
        *("ls-files", "--stage", "-z", "--", ":(top,attr:filter=lfs)"),
        deadline=deadline,
        work_tree=target,
    )
    found: dict[str, Pointer] = {}
    for entry in filter(None, output.stdout.split("\0")):
        facts, _, path = entry.partition("\t")
        if facts.startswith("100") and (pointer := _read_pointer(target / path)) is not None:
            found[path] = pointer
    return found


def _read_pointer(file: Path) -> Pointer | None:
    """None for a file that is in the commit itself."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as stream:
        match = _POINTER.fullmatch(stream.read(_MAX_POINTER + 1))
    return Pointer(match["oid"].decode(), int(match["size"])) if match else None


def _replace(file: Path, content: Path, deadline: Deadline) -> None:
    """Written into the file that is there, so that it stays executable when it was."""
    handle = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW)
    with os.fdopen(handle, "wb") as to, content.open("rb") as source:
        deadline.check()
        while piece := source.read(_PIECE):
            to.write(piece)
            deadline.check()


def _endpoint(mirror: Mirror, way: Way, sha: str, deadline: Deadline) -> _Endpoint:
    if own := _configured(mirror, sha, deadline):
        return _Endpoint(own, {})
    if place_of(way.url).scheme == "ssh":
        return _asked_over_ssh(way, deadline)
    return _Endpoint(f"{way.url.removesuffix('.git')}.git/info/lfs", {})


def _configured(mirror: Mirror, sha: str, deadline: Deadline) -> str:
    """What the repository's own `.lfsconfig` names."""
    output = mirror.git(
        *("config", "--blob", f"{sha}:.lfsconfig", "--no-includes", "--get", "lfs.url"),
        deadline=deadline,
    )
    if not (text := output.stdout.strip()):
        return ""
    try:
        url = check_repository_url(text)
    except InvalidSource as error:
        raise InvalidSource(f"The file .lfsconfig names a server: {error.sentence}") from error
    if place_of(url).scheme == "ssh":
        raise InvalidSource("The file .lfsconfig names a server that is not one of https://.")
    return url


def _asked_over_ssh(way: Way, deadline: Deadline) -> _Endpoint:
    """Whoever may read over SSH is told where the files are, and given a login for them."""
    place, path = place_of(way.url), path_of(way.url)
    user = way.url.removeprefix("ssh://").partition("/")[0].rpartition("@")[0]
    remote = f"git-lfs-authenticate {shlex.quote(path)} download"
    where = f"{user}@{place.host}" if user else place.host
    output = run_program([*way.ssh, f"-p{place.port}", "--", where, remote], deadline=deadline)
    if not output.ok:
        raise explain(output.lines, way.url) or unexplained(output.lines, way.url)
    try:
        answer: dict[str, Any] = json.loads(output.stdout)
        url = check_repository_url(answer["href"])
        headers = {str(name): str(value) for name, value in answer.get("header", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CloneFailed(
            f"{place.host} does not say where it keeps the files of Git LFS.",
            hint="Check that Git LFS is switched on for the repository.",
        ) from error
    return _Endpoint(url, headers)
