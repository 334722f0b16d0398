"""Numbers and small charts for templates."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.metrics import planning

register = template.Library()


@register.simple_tag
def spark(values: Sequence[int | None], series: int = 1) -> SafeString:
    """A sparkline: an SVG with a line from zero up, interrupted where values are missing."""
    line, area = planning.spark_paths(values)
    return format_html(
        '<svg class="spark" data-series="{}" viewBox="0 0 120 28" preserveAspectRatio="none" '
        'aria-hidden="true"><path class="spark-area" d="{}"/><path class="spark-line" d="{}"/>'
        "</svg>",
        series,
        area,
        line,
    )


@register.filter
def big(text: str) -> SafeString:
    """`412 MB` with a small unit. A dash when there is nothing."""
    number, _, unit = text.partition("\u00a0")
    if not text:
        return SafeString('<span class="text-muted-foreground">–</span>')
    return format_html("{} <small>{}</small>", number, unit) if unit else format_html("{}", number)


@register.filter
def size(number: float) -> str:
    """Bytes as `412 MB`."""
    return planning.size(number)


@register.filter
def percent(share: float) -> str:
    """0.143 as `14%`."""
    return planning.percent(share)


@register.filter
def level(share: float) -> str:
    """How full: `warning` from 80 %, `danger` from 90 %."""
    if share >= 0.9:
        return "danger"
    return "warning" if share >= 0.8 else ""
