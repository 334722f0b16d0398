"""Handing the audit trail out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from apps.audit.planning import csv_lines, json_lines
from apps.audit.selectors import Cursor, Filters, events_from
from apps.audit.trail import record
from apps.projects.models import Project

FORMATS = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "json": ("application/json", json_lines),
}
BLOCK = 64 * 1024


def events_export(
    *, filters: Filters, file_format: str, project: Project | None, asked: Mapping[str, str]
) -> Iterator[bytes]:
    """What the filters leave as a file (`FORMATS`), in blocks, made while they are sent. That it
    was exported, with the filters as they were `asked`, is recorded first and not in the file."""
    name = "" if project else "this Mist"
    event = record("audit.export", project, name=name, after={"format": file_format, **asked})
    _, lines = FORMATS[file_format]
    return _blocks(lines(events_from(filters, Cursor(event.at, event.pk))))


def _blocks(lines: Iterable[str]) -> Iterator[bytes]:
    block = bytearray()
    for line in lines:
        block += line.encode()
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)
