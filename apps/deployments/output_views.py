"""What the containers of an app write: as it comes, of a time, or of one former deployment."""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.deployments.archive import has_output, output_of
from apps.deployments.feeds import of_output
from apps.deployments.log_views import CHUNK_LINES, SEARCH_MAX, TEXT, blocks
from apps.deployments.models import Deployment, Status
from apps.deployments.output import (
    START,
    Cursor,
    Entry,
    Resume,
    entries_after,
    frame,
    newest_entries,
    read_cursor,
    read_replica,
)
from apps.deployments.selectors import deployments_of, live_deployment
from apps.engine.data import OutputLine
from apps.engine.errors import EngineError, EngineUnavailable
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.projects.app_views import app_frame, find_app
from apps.projects.models import App, ProjectRole

LIVE_LINES = 200
SPARE_LINES = 20
"""Lines of the very same time that are let go at the beginning of what is shown."""
PAGE_LINES = 2_000
CHOICES = 20
"""Former deployments whose output one may choose."""
RANGES = {"1h": dt.timedelta(hours=1), "24h": dt.timedelta(hours=24), "7d": dt.timedelta(days=7)}
RANGE_NAMES = {"": "Live", "1h": "1 h", "24h": "24 h", "7d": "7 d"}


@dataclass(frozen=True)
class Choice:
    """What the address asks for."""

    range: str
    number: int
    """Of one deployment, 0 for all."""
    text: str
    replica: int = 1
    """Which of the app's containers."""

    @property
    def is_live(self) -> bool:
        return not (self.range or self.number or self.text)

    @property
    def query(self) -> str:
        """The address' query that asks for the same."""
        parts = {"range": self.range, "deployment": str(self.number or ""), "q": self.text}
        parts["container"] = str(self.replica) if self.replica > 1 else ""
        return urlencode({name: value for name, value in parts.items() if value})


def _choice(request: HttpRequest) -> Choice:
    number = request.GET.get("deployment", "")
    wanted = request.GET.get("range", "")
    return Choice(
        range=wanted if wanted in RANGES else "",
        number=int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0,
        text=request.GET.get("q", "").strip()[:SEARCH_MAX],
        replica=read_replica(request.GET.get("container", "")),
    )


def _with_output(app: App) -> list[Deployment]:
    """The newest deployments whose output can be read, newest first."""
    return [d for d in deployments_of(app)[: CHOICES * 3] if has_output(d)][:CHOICES]


def _entries(app: App, choice: Choice) -> Iterator[Entry]:
    """What the choice covers, oldest first. Raises `EngineUnavailable`."""
    since = ""
    if choice.range:
        since = f"{timezone.now() - RANGES[choice.range]:%Y-%m-%dT%H:%M:%S}.000000000Z"
    found = [d for d in reversed(_with_output(app)) if choice.number in (0, d.number)]
    wanted = choice.text.casefold()
    for deployment in found:
        if since and _ended_before(deployment, since):
            continue
        yield from _rule(deployment, found)
        begin = Cursor(deployment.pk, 0, 0, 0)
        for entry in entries_after(begin, _output(deployment, choice, since)):
            if not wanted or wanted in entry.text.casefold():
                yield entry


def _output(deployment: Deployment, choice: Choice, since: str) -> Iterator[OutputLine]:
    return output_of(deployment, since=since, replica=choice.replica)


def _rule(deployment: Deployment, found: list[Deployment]) -> Iterator[Entry]:
    if len(found) > 1:
        yield Entry(Cursor(deployment.pk, 0, 0, 1), "rule", f"Deployment #{deployment.number}")


def _ended_before(deployment: Deployment, since: str) -> bool:
    """Whether its container was gone by then, as far as the rows say."""
    if deployment.status == Status.LIVE or deployment.roll is not None:
        return False
    newer = Deployment.objects.filter(
        app=deployment.app_id, pk__gt=deployment.pk, status__in=(Status.LIVE, Status.RETIRED)
    ).order_by("pk")
    end = newer.values_list("finished_at", flat=True).first() or deployment.finished_at
    return end is not None and f"{end + dt.timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}" < since[:19]


def _newest(live: Deployment | None, replica: int) -> list[Entry]:
    """The live container's last lines."""
    if live is None or not live.container_id:
        return []
    most = LIVE_LINES + SPARE_LINES
    lines: list[OutputLine] = list(output_of(live, tail=most, replica=replica))
    return newest_entries(live.pk, lines, most=LIVE_LINES + SPARE_LINES - 1)[-LIVE_LINES:]


def _place(cursor: Cursor, choice: Choice) -> dict[str, str]:
    """What the page's script says of itself when it asks for more."""
    place = {"at": str(cursor)}
    return place | {"container": str(choice.replica)} if choice.replica > 1 else place


@allow(ProjectRole.DEVELOPER)
@require_safe
@live_page(of_output)
def app_logs(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found, choice = find_app(request, project, app), _choice(request)
    live = live_deployment(found)
    problem: EngineError | None = None
    entries: list[Entry] = []
    is_cut = False
    # What a page is sent over its socket are its head and its state; lines have their own way.
    if "HX-Request" not in request.headers:
        try:
            if choice.is_live:
                entries = _newest(live, choice.replica)
            else:
                newest = deque(_entries(found, choice), maxlen=PAGE_LINES + 1)
                is_cut = len(newest) > PAGE_LINES
                entries = list(newest)[-PAGE_LINES:]
        except EngineUnavailable as error:
            problem = error
    begin = Cursor(live.pk, 0, 0, 0) if live else START
    context: dict[str, Any] = {
        **app_frame(found, "Logs"),
        "live": live,
        "entries": entries,
        "place": json.dumps(_place(entries[-1].cursor if entries else begin, choice)),
        "containers": range(1, live.replicas + 1) if live else [],
        "is_cut": is_cut,
        "choice": choice,
        "ranges": RANGE_NAMES.items(),
        "choices": _with_output(found),
        "problem": problem,
        "refresh": request.GET.get("follow") == "1",
        "fill": True,
    }
    return render_page(request, "app_logs.html", context, status=503 if problem else 200)


@allow(ProjectRole.DEVELOPER)
@require_safe
def app_logs_text(request: HttpRequest, project: str, app: str) -> HttpResponseBase:
    """All that there is of what the address chooses; without a choice of all deployments."""
    lines = _texts(_entries(find_app(request, project, app), _choice(request)))
    try:
        first = next(lines, "")
    except EngineUnavailable as error:
        return HttpResponse(f"{error.sentence}\n{error.hint}\n", status=503, content_type=TEXT)
    return StreamingHttpResponse(blocks(_chain(first, lines)), content_type=TEXT)


def _texts(entries: Iterator[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.stream == "rule":
            yield f"--- {entry.text} ---\n"
        else:
            yield f"{entry.cursor.stamp} {entry.stream} {entry.text}\n"


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


@allow(ProjectRole.DEVELOPER)
@require_safe
def app_logs_chunk(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Lines behind the cursor `at`, for pages whose WebSocket does not come through."""
    found = find_app(request, project, app)
    cursor, live = read_cursor(request.GET.get("at", "")), live_deployment(found)
    replica = read_replica(request.GET.get("container", ""))
    entries: list[Entry] = []
    if live is not None:
        if cursor.deployment != live.pk:
            is_first = cursor.deployment == 0
            cursor = Cursor(live.pk, 0, 0, 0 if is_first else 1)
            text = f"Deployment #{live.number} took over"
            entries += [] if is_first else [Entry(cursor, "rule", text)]
        resume = Resume(cursor)
        try:
            entries += resume.feed(output_of(live, since=resume.since, replica=replica))
        except EngineUnavailable:
            return HttpResponse(status=503)
    entries = entries[:CHUNK_LINES]
    behind = entries[-1].cursor if entries else cursor
    return HttpResponse(
        frame([entry.encode() for entry in entries], behind), content_type="application/json"
    )
