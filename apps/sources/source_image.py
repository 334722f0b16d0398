"""What the page Source shows of a ready image."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from apps.deployments.selectors import live_deployment
from apps.engine.errors import InvalidSource
from apps.engine.image_names import ImageName, parse_image_name
from apps.projects.models import App
from apps.sources.models import ImageCheck
from apps.sources.registries import login_for
from apps.sources.registry_checks import is_asking


def image_card(request: HttpRequest, app: App) -> dict[str, Any]:
    """Nothing for an app that is built."""
    if app.has_code:
        return {}
    try:
        image = parse_image_name(app.image_name)
    except InvalidSource:
        return {}
    check = ImageCheck.objects.filter(app=app, image=app.image_name).first()
    live = live_deployment(app)
    running = "" if live is None else live.pulled_image
    login = login_for(app.project, image.registry)
    return {
        "image": image,
        "image_live": live if running else None,
        "image_login": "" if login is None else login.username,
        "image_check": check,
        "image_asking": check is not None and is_asking(check.asked_at),
        "image_verdict": _verdict(image, check, running),
    }


def _verdict(image: ImageName, check: ImageCheck | None, running: str) -> str:
    """`same`, `newer`, or nothing where that is not known."""
    if check is None or not check.digest or not running:
        return ""
    return "same" if image.with_digest(check.digest).pinned == running else "newer"
