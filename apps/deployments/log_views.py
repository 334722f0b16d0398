"""Build logs of deployments."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from apps.accounts.models import User
from apps.deployments.archive import has_output
from apps.deployments.logs import (
    Found,
    LogLine,
    find_line,
    frame,
    log_path,
    plain_text,
    read_chunk,
    read_place,
    read_tail,
    search,
    settle_place,
)
from apps.deployments.models import Deployment
from apps.deployments.selectors import deployments_visible_to
from apps.deployments.stages import NAMES
from apps.projects.access import allow
from apps.projects.models import ProjectRole

PAGE_LINES = 2_000
CHUNK_LINES = 1_000
BLOCK_LINES = 500
SEARCH_MAX = 200
TEXT = "text/plain; charset=utf-8"


# --------------------------------------------------------------------------------------- build log


@dataclass(frozen=True)
class LogSection:
    """Lines of one stage that stand together."""

    stage: str
    id: str
    lines: list[LogLine]

    @property
    def name(self) -> str:
        return NAMES.get(self.stage, self.stage)


def log_pane(deployment: Deployment) -> dict[str, Any]:
    """The log's last lines by stage, and the place where the page goes on reading."""
    tail = read_tail(log_path(deployment.pk), most=PAGE_LINES)
    return {
        "sections": _sections(tail.lines),
        "earlier": tail.number - len(tail.lines),
        "has_output": has_output(deployment),
        "total": tail.number,
        "place": json.dumps({"offset": tail.offset, "number": tail.number}),
    }


def _sections(lines: Iterable[LogLine]) -> list[LogSection]:
    """A stage that was begun again has a second section; the first one has the plain id."""
    sections: list[LogSection] = []
    for stage, group in itertools.groupby(lines, key=lambda line: line.stage):
        again = sum(section.stage == stage for section in sections)
        name = f"stage-{stage}-{again + 1}" if again else f"stage-{stage}"
        sections.append(LogSection(stage, name, list(group)))
    return sections


def _find(request: HttpRequest, project: str, app: str, number: int) -> Deployment:
    visible = deployments_visible_to(cast(User, request.user))
    return get_object_or_404(visible, app__project__slug=project, app__slug=app, number=number)


@allow(ProjectRole.DEVELOPER)
@require_safe
def deployment_log_chunk(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    """Lines from `offset` on, for pages whose WebSocket does not come through, or from the line
    `line` on, for places of a long log that the page does not hold."""
    found = _find(request, project, app, number)
    path = log_path(found.pk)
    if (first := request.GET.get("line", "")) and re.fullmatch(r"[0-9]{1,9}", first):
        offset, before = find_line(path, max(1, int(first)))
    else:
        offset, before = settle_place(path, read_place(request.GET)[0])
    chunk = read_chunk(path, offset=offset, number=before, most=CHUNK_LINES)
    return JsonResponse(frame(chunk), json_dumps_params={"ensure_ascii": False})


@allow(ProjectRole.DEVELOPER)
@require_safe
def deployment_log_search(
    request: HttpRequest, project: str, app: str, number: int
) -> HttpResponse:
    """Numbers of the lines that hold `q`."""
    found = _find(request, project, app, number)
    text = request.GET.get("q", "")[:SEARCH_MAX]
    result = search(log_path(found.pk), text) if text else Found([], 0)
    return JsonResponse({"lines": result.lines, "total": result.total})


@allow(ProjectRole.DEVELOPER)
@require_safe
def deployment_log_text(
    request: HttpRequest, project: str, app: str, number: int
) -> HttpResponseBase:
    """The whole log as a text."""
    found = _find(request, project, app, number)
    return StreamingHttpResponse(blocks(plain_text(log_path(found.pk))), content_type=TEXT)


def blocks(lines: Iterator[str]) -> Iterator[str]:
    """Many lines at once: each piece of an answer costs a hop between threads."""
    while block := "".join(itertools.islice(lines, BLOCK_LINES)):
        yield block
