"""The first step of a deployment: its commit, fetched and written where it is built."""

from __future__ import annotations

import shutil

from django.conf import settings

from apps.deployments import lifecycle
from apps.deployments.source import Found, find_kept
from apps.deployments.work import Work
from apps.engine.deadline import Deadline
from apps.projects.source_models import SourceKind
from apps.sources.access import git_access


def clone(work: Work) -> None:
    """Fetch the commit and write its files. The commit recorded is the one that is built."""
    deadline = work.deadline(settings.MIST_CLONE_TIMEOUT, "Cloning")
    find = find_kept if work.app.source_kind == SourceKind.MIST else _fetch
    found, check_out = find(work, deadline)
    lifecycle.record(
        work.deployment,
        commit=found.sha,
        commit_message=found.message[:500],
        commit_author=found.author[:200],
        committed_at=found.committed_at,
    )
    shutil.rmtree(work.checkout, ignore_errors=True)
    work.checkout.parent.mkdir(parents=True, exist_ok=True)
    work.undo.callback(shutil.rmtree, work.checkout, ignore_errors=True)
    check_out()
    work.say(f"At {found.sha[:7]} {found.message}")


def _fetch(work: Work, deadline: Deadline) -> Found:
    """From the Git host."""
    app, ref = work.app, work.deployment.commit or work.deployment.ref
    work.say(f"Cloning {app.repository}, {ref}")
    access = git_access(app)
    # Git says it nowhere; a host's answer or a submodule's address might.
    work.hide_values(access.password)
    found = work.engine.git.fetch(
        url=app.repository,
        mirror=work.mirror,
        ref=ref,
        log=work.line,
        deadline=deadline,
        access=access,
    )
    return found, lambda: work.engine.git.checkout(
        mirror=work.mirror,
        sha=found.sha,
        target=work.checkout,
        deadline=deadline,
        url=app.repository,
        log=work.line,
        access=access,
    )
