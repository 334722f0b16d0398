"""A deployment of what was pushed or uploaded to this Mist: the repository that Mist keeps."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings

from apps.deployments.models import Deployment
from apps.deployments.work import Work
from apps.engine.data import Commit
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError
from apps.projects.source_models import SourceKind

logger = logging.getLogger("mist.deployments")
BROUGHT = (Deployment.Trigger.PUSH, Deployment.Trigger.UPLOAD)
"""What a person brought to this very Mist."""


Found = tuple[Commit, Callable[[], None]]
"""The commit to deploy, and what writes its files to the work's checkout."""


def find_kept(work: Work, deadline: Deadline) -> Found:
    """In the repository that Mist keeps. Raises what `engine.base.Git` does."""
    app, git, ref = work.app, work.engine.git, work.deployment.commit or work.deployment.ref
    work.say(f"Reading {ref} of what was brought to this Mist")
    found = git.find_kept(repository=work.kept, branch=app.branch, ref=ref, deadline=deadline)
    return found, lambda: git.checkout_kept(
        repository=work.kept,
        branch=app.branch,
        sha=found.sha,
        target=work.checkout,
        deadline=deadline,
    )


def advance_branch(work: Work) -> None:
    """What was pushed or uploaded is live: whoever fetches the branch gets it from now on. Only
    then, so that a commit which could not be deployed may be pushed again.

    Never fails what is live: the next push sets the branch right.
    """
    deployment, app = work.deployment, work.app
    if app.source_kind != SourceKind.MIST or deployment.source_id is not None:
        return
    if deployment.ref != app.branch or not deployment.commit:
        return
    deadline = Deadline(settings.MIST_CLONE_TIMEOUT, what="Moving the branch")
    git, where = work.engine.git, work.kept
    try:
        if deployment.trigger not in BROUGHT:
            # By hand: the newest one that waited for this, not an old one that is tried again.
            newest = git.find_kept(
                repository=where, branch=app.branch, ref=app.branch, deadline=deadline
            )
            if newest.sha != deployment.commit:
                return
        git.advance_kept(
            repository=where, branch=app.branch, sha=deployment.commit, deadline=deadline
        )
    except EngineError as error:
        logger.warning("The branch of %s: %s", app, error.sentence)
