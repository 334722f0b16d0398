"""Log lines in templates."""

from __future__ import annotations

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString

from apps.deployments.ansi import segments

register = template.Library()


@register.filter
def ansi(text: str) -> SafeString:
    """The text with its terminal colours as classes; everything in it is escaped."""
    return SafeString(
        "".join(
            f'<span class="{classes}">{escape(piece)}</span>' if classes else escape(piece)
            for classes, piece in segments(text)
        )
    )
