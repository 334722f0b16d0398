"""The step of a ready image: it comes from its registry, or is here already."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Q

from apps.deployments import lifecycle, planning
from apps.deployments.models import Deployment, Status
from apps.deployments.undoing import remove_image
from apps.deployments.work import Work
from apps.engine.image_names import ImageName, parse_image_name
from apps.projects.models import App
from apps.projects.source_models import PullPolicy
from apps.sources.registries import login_for


def pull(work: Work) -> None:
    """Bring the image and call it as one that was built, so that it is kept, rolled back to and
    cleaned up like one. What the tag meant now is recorded with its digest."""
    deployment = work.deployment
    wanted = parse_image_name(deployment.wanted_image)
    name = planning.image_name(deployment)
    work.undo.callback(remove_image, work, name)
    pulled = _take_kept(work, wanted, name) or _bring(work, wanted, name)
    lifecycle.record(deployment, image=name, pulled_image=pulled)
    work.say(f"At {pulled}")


def _bring(work: Work, wanted: ImageName, name: str) -> str:
    login = login_for(work.app.project, wanted.registry)
    work.say(f"Pulling {wanted}" + (f" as {login.username}" if login else ""))
    digest = work.engine.containers.pull(
        wanted,
        name=name,
        login=login,
        log=work.line,
        deadline=work.deadline(settings.MIST_BUILD_TIMEOUT, "The pull"),
    )
    return wanted.with_digest(digest).pinned


def _take_kept(work: Work, wanted: ImageName, name: str) -> str:
    """Use what a kept version holds; empty when none does.

    Only one of the same project: what the engine has beside these, another project may have pulled
    with a login of its own.
    """
    work.deadline(None, "Pulling").check()
    for kept in _kept_versions(work.app, wanted):
        if work.engine.containers.name_image(kept.image, name=name):
            work.say(f"Taking the image of {kept}, which is here")
            return kept.pulled_image
    return ""


def _kept_versions(app: App, wanted: ImageName) -> list[Deployment]:
    kept = Deployment.objects.filter(
        app__project=app.project_id, status__in=(Status.LIVE, Status.RETIRED)
    ).exclude(image="")
    kept = kept.exclude(pulled_image="").select_related("app__project").order_by("-id")
    if wanted.digest:
        return list(kept.filter(pulled_image=wanted.pinned)[:3])
    if app.pull_policy == PullPolicy.MISSING:
        same_tag = Q(wanted_image=str(wanted)) | Q(wanted_image__startswith=f"{wanted}@")
        return list(kept.filter(same_tag)[:3])
    return []
