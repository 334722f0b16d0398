"""What pages with numbers listen to."""

from __future__ import annotations

import dataclasses
import functools

from apps.accounts.models import InstanceRole
from apps.deployments.feeds import anything, of_app
from apps.live.pages import Live
from apps.metrics.cards import host_row_frame, numbers_frame, usage_frame
from apps.metrics.live import Form, MeterFeed, Topic
from apps.metrics.packing import HOST
from apps.projects.models import App


def _with(live: Live, subject: int, form: Form) -> Live:
    feed = functools.partial(MeterFeed, Topic(subject, form))
    return dataclasses.replace(live, feeds={**live.feeds, "metrics": feed})


def of_dashboard(**address: object) -> Live:
    """Lists, and the host's row."""
    live = _with(anything(**address), HOST, host_row_frame)
    return dataclasses.replace(live, needs={"metrics": InstanceRole.ADMIN})


def of_server(**address: object) -> Live:
    """The host's charts."""
    return _with(anything(**address), HOST, numbers_frame)


def _of_app(project: str, app: str, form: Form) -> Live:
    live = of_app(project=project, app=app)
    found = App.objects.filter(project__slug=project, slug=app, deleted_at=None)
    subject = found.values_list("pk", flat=True).first()
    return live if subject is None else _with(live, subject, form)


def of_overview(*, project: str, app: str) -> Live:
    """One app, with its card of usage."""
    return _of_app(project, app, usage_frame)


def of_app_metrics(*, project: str, app: str) -> Live:
    """One app's charts."""
    return _of_app(project, app, numbers_frame)
