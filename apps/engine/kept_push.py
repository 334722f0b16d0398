"""Taking a push into a repository that Mist keeps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from apps.engine.data import LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import CloneFailed, EngineError
from apps.engine.git_process import run_git
from apps.engine.kept import PUSHED, TIP, Kept
from apps.engine.pkt_line import ZERO, Push, RefUpdate, Report, commands_of, pkt, read_report

HEADROOM = 4096
"""Bytes before the body of a push in its file, so that the lines before the pack may grow."""
_RECEIVE = (
    *("receive.fsckObjects=true", "receive.unpackLimit=1", "receive.autogc=false"),
    *("receive.denyNonFastForwards=false", "receive.denyDeletes=false"),
    *("receive.denyDeleteCurrent=refuse", "receive.advertiseAtomic=false"),
    *("receive.advertisePushOptions=false", "receive.certNonceSeed=", "pack.threads=1"),
)


class PushFailed(EngineError):
    """Git did not take what was pushed; nothing of it is there."""


def body_file(folder: Path, *, headroom: int = HEADROOM) -> IO[bytes]:
    """An unnamed file for the body of a request, which begins at `headroom`, where it stands."""
    folder.mkdir(parents=True, exist_ok=True)
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    file.seek(headroom)
    return file


def advertise_push(path: Path, *, deadline: Deadline) -> bytes:
    """The body of `/info/refs?service=git-receive-pack`."""
    options = [word for option in _RECEIVE for word in ("-c", option)]
    output = run_git(
        [*options, "receive-pack", "--stateless-rpc", "--advertise-refs", str(path)],
        deadline=deadline,
    )
    if not output.ok:
        raise CloneFailed("Git could not list the branches.", detail="\n".join(output.lines))
    head = pkt(b"# service=git-receive-pack\n")
    return head + b"0000" + output.stdout.encode("utf-8", "replace")


def receive(
    repository: Kept, body: IO[bytes], push: Push, *, branch: str, limit: int, log: LineSink
) -> Report:
    """Take what is pushed: `body` is a `body_file` with the whole request, `limit` bytes of a pack
    at the most. An update of the app's `branch` becomes a commit that is there by its digits, and
    the branch's newest once `note_tip` says so; everything else happens as it is asked for.

    The report has the names that the pusher used; only what git itself refused is refused.
    Raises `PushFailed` with git's last words.
    """
    ours = f"refs/heads/{branch}"
    asked = {one: _inside(repository, one) if one.ref == ours else one for one in push.updates}
    updates = [one for one in asked.values() if one is not None]
    done = Report(refs={one.ref: "" for one in push.updates})
    if updates:
        done = _receive_pack(repository, body, push, updates, limit, log)
    refs = {
        one.ref: "" if inner is None else done.refs.get(inner.ref, "git said nothing of it")
        for one, inner in asked.items()
    }
    for one in push.updates:
        if refs[one.ref] == "":
            refs[one.ref] = _note(repository, one, ours=one.ref == ours)
    repository.compact()
    return Report(done.unpack, refs)


def _inside(repository: Kept, one: RefUpdate) -> RefUpdate | None:
    """Where the app's branch is pushed to; None for a commit that came before."""
    ref = f"{PUSHED}{one.new}"
    return None if repository.resolve(ref) else RefUpdate(ZERO, one.new, ref)


def _receive_pack(
    repository: Kept,
    body: IO[bytes],
    push: Push,
    updates: Sequence[RefUpdate],
    limit: int,
    log: LineSink,
) -> Report:
    commands = commands_of(push, updates)
    at = HEADROOM + push.pack_at - len(commands)
    body.seek(at)
    body.write(commands)
    body.flush()
    os.lseek(body.fileno(), at, os.SEEK_SET)
    options = [word for option in _RECEIVE for word in ("-c", option)]
    # Both are refs of ours, which this very command writes and no pusher names.
    options += ["-c", "receive.hideRefs=!refs/mist", "-c", f"receive.maxInputSize={limit}"]
    output = repository.git(
        *(*options, "receive-pack", "--stateless-rpc", str(repository.path)),
        log=log,
        stdin=body.fileno(),
    )
    report = read_report(output.stdout.encode())
    if report is None:
        said = "\n".join(output.lines)
        raise PushFailed("Git could not take what was pushed.", detail=said)
    return report


def _note(repository: Kept, one: RefUpdate, *, ours: bool) -> str:
    """Keep the tips right; why that cannot be, else empty."""
    if ours and not repository.resolve(one.new):
        return "this is no commit"
    if not ours and one.ref.startswith("refs/heads/"):
        # Of the time when this branch was the app's own.
        repository.git("update-ref", "-d", TIP + one.ref.removeprefix("refs/heads/"))
    return ""
