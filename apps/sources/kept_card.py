"""The card of the page Source for an app that is pushed or uploaded to this Mist."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from apps.projects.models import App
from apps.projects.selectors import kept_path
from apps.projects.source_models import SourceKind
from apps.sources.upload_forms import ArchiveForm
from apps.system.planning import push_url


def kept_card(request: HttpRequest, app: App) -> dict[str, Any]:
    """What `partials/source_kept.html` shows; nothing for other kinds of apps."""
    if app.source_kind != SourceKind.MIST:
        return {}
    return {
        "push_commands": push_commands(app),
        "push_url": push_url(app.project.slug, app.slug),
        "was_pushed": (kept_path(app) / "objects").is_dir() and app.last_number > 0,
        "archive_form": ArchiveForm(),
    }


def push_commands(app: App) -> str:
    """What to type in the folder of the code."""
    return f"git remote add mist {push_url(app.project.slug, app.slug)}\ngit push mist {app.branch}"
