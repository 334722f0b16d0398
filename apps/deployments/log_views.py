"""Build logs of deployments, and what the running container writes."""

from __future__ import annotations

import datetime as dt
import itertools
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
from apps.deployments.feeds import of_app
from apps.deployments.logs import (
    LogLine,
    frame,
    log_path,
    plain_text,
    read_chunk,
    read_place,
    read_tail,
)
from apps.deployments.models import Deployment
from apps.deployments.selectors import deployments_visible_to, live_deployment
from apps.deployments.stages import NAMES
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError, EngineUnavailable
from apps.live.pages import live_page, render_page
from apps.projects.app_views import app_frame, find_app
from apps.projects.models import App

PAGE_LINES = 2_000
CHUNK_LINES = 1_000
RUNTIME_LINES = 200
RUNTIME_TEXT_LINES = 10_000
BLOCK_LINES = 500
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
        "offset": tail.offset,
        "number": tail.number,
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


@require_safe
def deployment_log_chunk(request: HttpRequest, project: str, app: str, number: int) -> HttpResponse:
    """Lines from `offset` on: for pages whose WebSocket does not come through."""
    found = _find(request, project, app, number)
    offset, lines_before = read_place(request.GET)
    chunk = read_chunk(log_path(found.pk), offset=offset, number=lines_before, most=CHUNK_LINES)
    return JsonResponse(frame(chunk), json_dumps_params={"ensure_ascii": False})


@require_safe
def deployment_log_text(
    request: HttpRequest, project: str, app: str, number: int
) -> HttpResponseBase:
    """The whole log as a text."""
    found = _find(request, project, app, number)
    return StreamingHttpResponse(_blocks(plain_text(log_path(found.pk))), content_type=TEXT)


def _blocks(lines: Iterator[str]) -> Iterator[str]:
    """Many lines at once: each piece of an answer costs a hop between threads."""
    while block := "".join(itertools.islice(lines, BLOCK_LINES)):
        yield block


# ------------------------------------------------------------------------------------- runtime log


@dataclass(frozen=True)
class RuntimeLine:
    at: dt.datetime | None
    text: str


def _runtime_line(raw: str) -> RuntimeLine:
    """Docker puts the time before each line, with more digits than Python reads."""
    stamp, _, text = raw.partition(" ")
    try:
        return RuntimeLine(dt.datetime.fromisoformat(stamp[:19] + "+00:00"), text)
    except ValueError:
        return RuntimeLine(None, raw)


def _runtime_log(app: App, *, tail: int) -> tuple[Deployment | None, list[str]]:
    """The live container's last lines, each after its time. Raises `EngineUnavailable`."""
    live = live_deployment(app)
    if live is None or not live.container_id:
        return live, []
    return live, get_engine().containers.logs(live.container_id, tail=tail, timestamps=True)


@require_safe
@live_page(of_app)
def app_logs(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    problem: EngineError | None = None
    live, lines = None, list[str]()
    try:
        live, lines = _runtime_log(found, tail=RUNTIME_LINES)
    except EngineUnavailable as error:
        problem = error
    context = {
        **app_frame(found, "Logs"),
        "live": live,
        "lines": [_runtime_line(line) for line in lines],
        "problem": problem,
        "follow": request.GET.get("follow") == "1",
        "fill": True,
    }
    return render_page(request, "app_logs.html", context, status=503 if problem else 200)


@require_safe
def app_logs_text(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    try:
        _, lines = _runtime_log(found, tail=RUNTIME_TEXT_LINES)
    except EngineUnavailable as error:
        return HttpResponse(f"{error.sentence}\n{error.hint}\n", status=503, content_type=TEXT)
    return HttpResponse("".join(f"{line}\n" for line in lines), content_type=TEXT)
