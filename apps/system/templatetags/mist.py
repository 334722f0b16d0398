"""What templates need: icons, artwork, times, and the words and shapes of states."""

from __future__ import annotations

import datetime as dt
import functools
import re

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.deployments.models import RUNNING, Deployment, Status
from apps.engine.sources import display_url
from apps.projects.access import Access
from apps.projects.models import App
from apps.system.planning import push_url
from apps.system.templatetags import ridges as artwork

register = template.Library()

ICONS = settings.BASE_DIR / "static" / "vendor" / "icons"
MINUTE, HOUR, DAY = 60, 3600, 86_400

DEPLOYMENT_STATES: dict[str, tuple[str, str]] = {
    Status.QUEUED: ("queued", "Queued"),
    **dict.fromkeys(RUNNING, ("building", "Building")),
    Status.LIVE: ("live", "Live"),
    Status.RETIRED: ("replaced", "Replaced"),
    Status.FAILED: ("failed", "Failed"),
    Status.CANCELLED: ("cancelled", "Cancelled"),
    Status.SKIPPED: ("cancelled", "Skipped"),
}
"""Status → `data-state` and the word beside the shape."""

OBSERVED_WORDS: dict[str, str] = {state.value: str(state.label) for state in App.Observed}
SHAPES: dict[str, str] = {
    # An app that keeps dying is neither up nor down: it has the shape of one that is unwell.
    App.Observed.RESTARTING: "unhealthy",
    App.Observed.ENDED: "stopped",
}
"""States that share another one's shape."""
QUIET = frozenset({"running", "stopped", "none", "replaced", "cancelled", "queued"})
"""States whose word is not coloured: nothing is going on and nobody has to act."""


# ----------------------------------------------------------------------------------------- images


@functools.cache
def _icon_body(name: str) -> str:
    text = (ICONS / f"{name}.svg").read_text()
    found = re.search(r"<svg[^>]*>(.*)</svg>", text, re.DOTALL)
    assert found is not None, f"{name}.svg is no icon"
    return re.sub(r"\s*\n\s*", "", found[1]).replace(" />", "/>").strip()


@register.simple_tag
@functools.cache
def icon(name: str, extra: str = "") -> SafeString:
    """Inline one Lucide icon of static/vendor/icons; decorative. `extra` adds classes."""
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{}</svg>',
        f"icon {extra}".strip(),
        mark_safe(_icon_body(name)),  # noqa: S308 - a file of our own
    )


@register.simple_tag
def ridges(seed: str, *numbers: int) -> SafeString:
    """The artwork of set-up, log-in and error pages."""
    return artwork.ridges(seed, *numbers)


# ------------------------------------------------------------------------------------------ times


@register.filter
def ago(value: dt.datetime | None) -> str:
    """`38 s ago`, `24 min ago`, `3 h ago`, `yesterday`, then `4 Nov`. Empty for None."""
    if value is None:
        return ""
    now = timezone.now()
    seconds = int((now - value).total_seconds())
    if seconds < 1:
        return "now"
    if seconds < MINUTE:
        return f"{seconds}\u00a0s ago"
    if seconds < HOUR:
        return f"{seconds // MINUTE}\u00a0min ago"
    if seconds < DAY:
        return f"{seconds // HOUR}\u00a0h ago"
    if seconds < 2 * DAY:
        return "yesterday"
    day = f"{value.day}\u00a0{value:%b}"
    return day if value.year == now.year else f"{day}\u00a0{value.year}"


@register.filter
def exact(value: dt.datetime | None) -> str:
    """`2026-11-04 14:32:08 UTC`, for titles. Empty for None."""
    return "" if value is None else f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


@register.simple_tag
def when(value: dt.datetime | None, extra: str = "") -> SafeString:
    """How long ago, as a `<time>` that has the exact time as its title. `extra` adds classes."""
    if value is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" title="{}" class="{}" data-ago>{}</time>',
        value.isoformat(timespec="seconds"),
        exact(value),
        extra,
        ago(value),
    )


@register.filter
def duration(value: dt.timedelta | float | None) -> str:
    """Seconds or a timedelta as `0.4 s`, `12 s`, `1 min 42 s` or `2 h 3 min`. Empty for None."""
    if value is None or value == "":
        return ""
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else float(value)
    if 0 < seconds < 0.95:
        return f"{max(seconds, 0.1):.1f}\u00a0s"
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole}\u00a0s"
    if whole < HOUR:
        return f"{whole // MINUTE}\u00a0min {whole % MINUTE}\u00a0s"
    return f"{whole // HOUR}\u00a0h {whole % HOUR // MINUTE}\u00a0min"


@register.filter
def took(deployment: Deployment) -> str:
    """How long the work took, or has taken until now. Empty before it began."""
    if deployment.started_at is None:
        return ""
    return duration((deployment.finished_at or timezone.now()) - deployment.started_at)


# ----------------------------------------------------------------------------------- states, names


def _state_and_word(thing: App | Deployment) -> tuple[str, str]:
    if isinstance(thing, Deployment):
        return DEPLOYMENT_STATES[thing.status]
    if getattr(thing, "active_status", None):
        return "deploying", "Deploying"
    return SHAPES.get(thing.observed, thing.observed), OBSERVED_WORDS[thing.observed]


@register.filter
def state(thing: App | Deployment) -> str:
    """The `data-state` of an app or a deployment.

    An app is deploying when it has the attribute `active_status` (see `with_state`).
    """
    return _state_and_word(thing)[0]


@register.filter
def word(thing: App | Deployment) -> str:
    """The word for its state."""
    return _state_and_word(thing)[1]


@register.simple_tag
def status(thing: App | Deployment, *, pill: bool = False) -> SafeString:
    """Shape and word of an app's or a deployment's state."""
    return _status(*_state_and_word(thing), pill)


@functools.cache
def _status(name: str, text: str, pill: bool) -> SafeString:
    return format_html(
        '<span class="status" data-state="{}"{}{}>{}</span>',
        name,
        SafeString("" if name in QUIET else " data-tone"),
        SafeString(" data-pill" if pill else ""),
        text,
    )


@register.filter
def marked(text: str, words: list[str]) -> SafeString:
    """The text with each of the (lower-case) words in `<mark>`."""
    if not words:
        return escape(text)
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(word) for word in longest_first), re.IGNORECASE)
    pieces, at = [], 0
    for found in pattern.finditer(text):
        pieces.append((escape(text[at : found.start()]), found[0]))
        at = found.end()
    return format_html_join("", "{}<mark>{}</mark>", pieces) + escape(text[at:])


@register.filter
def short(commit: str) -> str:
    """A commit's first 7 digits."""
    return commit[:7]


@register.filter
def repository(url: str) -> str:
    """`halden/tidewater-api` of a repository's address."""
    return display_url(url)


@register.filter
def within(access: Access, project_id: int) -> Access:
    """What the person may do in that project, for rows of many projects."""
    return access.within(project_id)


@register.filter
def initial(name: str) -> str:
    """The letter on a project's mark."""
    return name[:1].upper()


@register.filter
def push_address(app: App) -> str:
    """Where its code is pushed to, of an app that comes from this Mist itself."""
    return push_url(app.project.slug, app.slug)
