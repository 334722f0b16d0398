"""What the containers of former deployments wrote, kept when the containers went.

One file for each, `logs/<id>.output.log.gz`, and `logs/<id>-2.output.log.gz` where the deployment
had a second one: lines of `<stamp> <out|err> <text>`. It is written
beside its place and renamed, so a file that is there is whole. Memory stays flat: the engine's
lines go through one by one.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings

from apps.deployments.masking import hidden, masker_of
from apps.deployments.models import Deployment, Status
from apps.engine.connect import get_engine
from apps.engine.data import OutputLine
from apps.engine.errors import EngineError
from apps.engine.masking import Masker

logger = logging.getLogger("mist.deployments")
LEVEL = 3


def archive_path(deployment_id: int, replica: int = 1) -> Path:
    """Where the output of the deployment's container is kept, whether there is any or not."""
    name = f"{deployment_id}" if replica == 1 else f"{deployment_id}-{replica}"
    return Path(settings.MIST_DATA_DIR) / "logs" / f"{name}.output.log.gz"


def keep_output(deployment_id: int, container_id: str, replica: int = 1) -> None:
    """Keep what the container wrote, before it is removed, behind what one before it in the same
    place wrote. Never fails for the outside: a container must go even when the disk is full."""
    try:
        # Before they reach the disk: whatever reads the file is safe then.
        masker = masker_of(Deployment.objects.get(pk=deployment_id))
        output = get_engine().containers.output(container_id)
        try:
            path = archive_path(deployment_id, replica)
            fresh = hidden((line for batch in output for line in batch), masker)
            _write(path, _behind(path, fresh))
        finally:
            output.close()
    except Deployment.DoesNotExist:
        return  # Nobody could read it.
    except (EngineError, OSError) as error:
        logger.warning("The output of deployment %s was not kept: %s", deployment_id, error)


def _behind(path: Path, lines: Iterable[OutputLine]) -> Iterator[OutputLine]:
    """What is there already, then the lines: those that came later, so nothing is there twice."""
    last = ""
    for kept in _read(path):
        last = max(last, kept.stamp)
        yield kept
    for line in lines:
        if line.stamp > last:
            yield line


def _write(path: Path, lines: Iterable[OutputLine]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    limit = settings.MIST_OUTPUT_LOG_MAX_MB * 1024 * 1024
    whole, newest = path.with_suffix(f".{os.getpid()}.all"), path.with_suffix(f".{os.getpid()}.new")
    try:
        with whole.open("wb") as file:
            total = 0
            for line in lines:
                raw = f"{line.stamp} {line.stream} {line.text}\n".encode(errors="replace")
                total += len(raw)
                file.write(raw)
        if not total:
            return
        with whole.open("rb") as file, gzip.open(newest, "wb", compresslevel=LEVEL) as kept:
            if total > limit:
                file.seek(total - limit)
                file.readline()
                first = file.readline()
                stamp = first.split(b" ", 1)[0].decode()
                mb = settings.MIST_OUTPUT_LOG_MAX_MB
                note = f"Only the newest {mb} MB of this output were kept."
                kept.write(f"{stamp} rule {note}\n".encode())
                kept.write(first)
            while block := file.read(1 << 20):
                kept.write(block)
        newest.replace(path)
    finally:
        whole.unlink(missing_ok=True)
        newest.unlink(missing_ok=True)


def forget_output(deployment_id: int) -> None:
    """Of all its containers."""
    archive_path(deployment_id).unlink(missing_ok=True)
    for path in archive_path(deployment_id).parent.glob(f"{deployment_id}-*.output.log.gz"):
        path.unlink(missing_ok=True)


def kept_lines(deployment_id: int, replica: int = 1) -> Iterator[OutputLine]:
    """What was kept, from the first line on; nothing when there is none. A damaged file ends where
    it is damaged."""
    return _read(archive_path(deployment_id, replica))


def _read(path: Path) -> Iterator[OutputLine]:
    with (
        contextlib.suppress(FileNotFoundError, EOFError, zlib.error, gzip.BadGzipFile),
        gzip.open(path, "rb") as file,
    ):
        for raw in file:
            stamp, _, rest = raw.decode(errors="replace").rstrip("\n").partition(" ")
            stream, _, text = rest.partition(" ")
            yield OutputLine(stamp, stream, text)


def output_of(
    deployment: Deployment,
    *,
    since: str = "",
    tail: int | None = None,
    replica: int = 1,
    masker: Masker | None = None,
) -> _Lines:
    """What its container number `replica` wrote: what was kept of one before it in the same place,
    then of the container while that is there. Values that `masker` knows, by default those of the
    deployment, are hidden. Raises `EngineUnavailable`, `SecretsUnreadable`."""
    knows = masker_of(deployment) if masker is None else masker
    return hidden(_output_of(deployment, since, tail, replica), knows)


def _output_of(deployment: Deployment, since: str, tail: int | None, replica: int) -> _Lines:
    kept: _Lines = (line for line in kept_lines(deployment.pk, replica) if line.stamp >= since)
    ids = deployment.container_ids
    containers = get_engine().containers
    container_id = ids[replica - 1] if len(ids) >= replica else ""
    if not container_id or containers.inspect(container_id) is None:
        yield from kept if tail is None else deque(kept, maxlen=tail)
        return
    output = containers.output(container_id, since=since, tail=tail)
    try:
        fresh: Iterable[OutputLine] = (line for batch in output for line in batch)
        if tail is not None:
            fresh = list(fresh)
            # What the tail lacks comes from before.
            kept = iter(deque(kept, maxlen=max(0, tail - len(fresh))))
        yield from kept
        yield from fresh
    finally:
        output.close()


def has_output(deployment: Deployment) -> bool:
    """Whether anything that its container wrote can be read: cheap, asks no engine."""
    return deployment.status == Status.LIVE or archive_path(deployment.pk).exists()


_Lines = Iterator[OutputLine]
