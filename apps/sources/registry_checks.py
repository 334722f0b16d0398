"""Asking registries what people want to know of them: whether a login works, what a tag means now.

That takes as long as the registry does, so no page waits for it: it is written down and the pages
are told.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from apps.deployments import events
from apps.engine.connect import get_engine
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError
from apps.engine.image_names import parse_image_name
from apps.projects.models import App
from apps.sources.models import ImageCheck, RegistryCredential
from apps.sources.registries import login_for, login_of

SECONDS = 20.0
"""For one answer of a registry."""
FORGOTTEN = dt.timedelta(seconds=60)
"""Who asked that long ago without an answer may ask again: Mist was stopped meanwhile."""


def is_asking(since: dt.datetime | None) -> bool:
    """Whether somebody waits for an answer that was asked for then."""
    return since is not None and timezone.now() - since < FORGOTTEN


def try_login(pk: int) -> None:
    """Find out whether the registry takes the login, unless that is gone."""
    found = RegistryCredential.objects.filter(pk=pk).first()
    if found is None:
        return
    problem = ""
    try:
        get_engine().containers.check_login(
            login_of(found), deadline=Deadline(SECONDS, what="The answer")
        )
    except EngineError as error:
        problem = _words(error)
    # Of one that was written anew meanwhile this says nothing.
    same = RegistryCredential.objects.filter(pk=pk, created_at=found.created_at)
    same.update(test_asked_at=None, tested_at=timezone.now(), test_problem=problem)
    events.publish(events.LOBBY, {"type": "mist.changed"})


def check_image(app_pk: int) -> None:
    """Find out what the app's image is at its registry by now."""
    app = App.objects.select_related("project").filter(pk=app_pk, deleted_at=None).first()
    if app is None or app.has_code:
        return
    digest = problem = ""
    try:
        image = parse_image_name(app.image_name)
        digest = get_engine().containers.published_digest(
            image,
            login=login_for(app.project, image.registry),
            deadline=Deadline(SECONDS, what="The answer"),
        )
    except EngineError as error:
        problem = _words(error)
    ImageCheck.objects.filter(app=app).update(
        image=app.image_name,
        asked_at=None,
        checked_at=timezone.now(),
        digest=digest,
        problem=problem,
    )
    events.app_changed(app_id=app.pk)


def _words(error: EngineError) -> str:
    return f"{error.sentence} {error.hint}".strip()[:500]
