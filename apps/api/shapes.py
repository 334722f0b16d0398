"""Apps, deployments and tokens as the API tells them: written field by field, so that nothing gets
out because somebody added it to a model. No value of a variable, no log, no secret."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse

from apps.api.models import ApiToken
from apps.deployments.models import Deployment, Status
from apps.projects.forms import AppForm
from apps.projects.models import App

SETTINGS = tuple(name for name in AppForm.base_fields if name != "slug")
"""What can be set for an app."""


def moment(value: dt.datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    if value is None:
        return None
    return value.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def app_shape(app: App) -> dict[str, Any]:
    """`app` has what `with_state` and the API's own selector add."""
    where = [app.project.slug, app.slug]
    return {
        "project": app.project.slug,
        "app": app.slug,
        "state": "deploying" if getattr(app, "active_status", None) else app.observed,
        "wanted": app.wanted,
        "live": getattr(app, "live_number", None),
        "address": app.url or None,
        "created_at": moment(app.created_at),
        "settings": {name: _plain(getattr(app, name)) for name in SETTINGS},
        "links": {"self": reverse("api:app", args=where), "page": reverse("app", args=where)},
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str) else float(value)


def deployment_shape(deployment: Deployment) -> dict[str, Any]:
    app = deployment.app
    where = [app.project.slug, app.slug, deployment.number]
    return {
        "id": deployment.number,
        "project": app.project.slug,
        "app": app.slug,
        "status": deployment.status,
        "is_finished": not deployment.is_unfinished,
        "trigger": deployment.trigger,
        "requested_by": None if deployment.requested_by is None else str(deployment.requested_by),
        "ref": deployment.ref,
        "commit": deployment.commit or None,
        "commit_message": deployment.commit_message,
        "image": deployment.pinned_image or None,
        "no_cache": deployment.no_cache,
        "created_at": moment(deployment.created_at),
        "started_at": moment(deployment.started_at),
        "finished_at": moment(deployment.finished_at),
        "failure": _failure(deployment),
        "can_be_rolled_back_to": deployment.can_be_rolled_back_to,
        "links": {
            "self": reverse("api:deployment", args=where),
            "app": reverse("api:app", args=where[:2]),
            "page": reverse("deployment", args=where),
        },
    }


def _failure(deployment: Deployment) -> dict[str, str] | None:
    """Mist's own sentences. The detail is a piece of the log, which needs a role of its own."""
    if deployment.status not in (Status.FAILED, Status.SKIPPED):
        return None
    return {
        "stage": deployment.failed_stage,
        "message": deployment.failure,
        "hint": deployment.failure_hint,
    }


def token_shape(token: ApiToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "prefix": token.prefix,
        "user": token.user.email,
        "scopes": token.scopes,
        "project": None if token.project is None else token.project.slug,
        "expires_at": moment(token.expires_at),
        "created_at": moment(token.created_at),
    }
