"""A push deploys what is built from it: every app of a repository, or one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from apps.accounts.models import User
from apps.deployments.models import UNFINISHED, Deployment
from apps.deployments.services import deployment_request
from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.planning import Push, is_same_repository, reason_to_ignore


@dataclass(frozen=True)
class Verdict:
    """What a push did to an app."""

    words: str
    """`deployed shop/web #12`, `ignored shop/web: branch is not main`."""
    deployment: Deployment | None = None
    """What was queued."""


def deploy_pushed(
    *,
    apps: Iterable[App],
    push: Push,
    trigger: str = Deployment.Trigger.WEBHOOK,
    requested_by: User | None = None,
) -> list[Verdict]:
    """Queue a deployment of every app of these whose repository, branch and paths the push is of.

    A repository is known by its address or, where the host has a number for it that was heard
    before, by that: it may have another name now. Only queues rows. One verdict for each app of
    the repository, none when no app is built from it. The caller says who acts (`acting_as`).
    """
    found = [app for app in apps if _is_built_from(app, push)]
    return [
        app_pushed(app=app, push=push, trigger=trigger, requested_by=requested_by) for app in found
    ]


def _is_built_from(app: App, push: Push) -> bool:
    fetched = app.source_kind in (SourceKind.GIT, SourceKind.GITHUB)
    if app.deleted_at is not None or not fetched or not app.repository:
        return False
    if any(is_same_repository(app.repository, address) for address in push.addresses):
        if push.repository_id and app.repository_id != push.repository_id:
            App.objects.filter(pk=app.pk).update(repository_id=push.repository_id)
            app.repository_id = push.repository_id
        return True
    return bool(push.repository_id) and app.repository_id == push.repository_id


def app_pushed(*, app: App, push: Push, trigger: str, requested_by: User | None = None) -> Verdict:
    """Queue the very commit of the push where branch or tag, paths and settings of the app say so.

    Whose repository it is was found out before. The newest push wins, see `deployment_request`.
    """
    if reason := reason_to_ignore(app, push):
        return Verdict(f"ignored {app}: {reason}")
    with transaction.atomic():
        # The host may tell twice: a hook of the repository and one of its owner, an app besides.
        newest = Deployment.objects.filter(app=app, status__in=UNFINISHED).order_by("-id").first()
        if newest is not None and _is_for(newest, push):
            return Verdict(f"ignored {app}: #{newest.number} deploys this commit already")
        deployment = deployment_request(
            app=app,
            requested_by=requested_by,
            ref=push.name,
            commit=push.commit,
            commit_message=push.message.partition("\n")[0],
            commit_author=push.author,
            commit_url=push.url,
            trigger=trigger,
        )
    return Verdict(f"deployed {app} #{deployment.number}", deployment)


def _is_for(deployment: Deployment, push: Push) -> bool:
    same = (deployment.commit, deployment.ref) == (push.commit, push.name)
    return same and deployment.source_id is None and deployment.cancel_requested_at is None
