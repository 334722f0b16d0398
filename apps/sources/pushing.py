"""A push to Mist itself: what is taken, what deploys, and what the pusher is told.

The push waits for its deployment, as a person would: the branch moves only when the commit is live
(`apps.deployments.source`), and one that cannot be deployed is refused, so that pushing the same
again tries again. Git itself only stores objects; the words between are Mist's own, in Git's
sideband. So no hook runs, nothing has to find its way back into Mist, and a pusher who hangs up
leaves a deployment that goes on like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO

from django.conf import settings

from apps.accounts.models import User
from apps.audit.trail import acting_as
from apps.deployments.models import UNFINISHED, Deployment
from apps.deployments.services import deployment_request
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError
from apps.engine.kept import Kept, kept
from apps.engine.kept_push import receive
from apps.engine.pkt_line import ZERO, Push, RefUpdate, Report
from apps.projects.models import App
from apps.projects.selectors import kept_path
from apps.sources.git_gate import Entry

RECEIVE_SECONDS = 1800.0
"""For Git to check and store what came."""
MEGABYTE = 1024 * 1024


@dataclass
class Taken:
    """What became of a push so far."""

    report: Report
    words: list[str] = field(default_factory=list)
    """For the pusher, a line each."""
    deployment: Deployment | None = None
    """What the answer about `ref` waits for."""
    ref: str = ""


def push_limit() -> int:
    """Bytes that a push may have."""
    return int(settings.MIST_PUSH_LIMIT_MB) * MEGABYTE


def too_large(push: Push) -> Taken:
    """Nothing of it is taken."""
    words = f"A push may have {settings.MIST_PUSH_LIMIT_MB} MB at most (MIST_PUSH_LIMIT_MB)."
    refs = {one.ref: "the push is too large" for one in push.updates}
    return Taken(Report("the push is too large", refs), [words])


def push_take(*, entry: Entry, push: Push, body: IO[bytes], deadline: Deadline) -> Taken:
    """Store what is pushed and queue a deployment of what the app's branch is now to be.

    `body` is a `body_file` with the whole request. Blocks while Git works and while another push
    of this app is being stored. Never raises for what a pusher did.
    """
    app = entry.app
    try:
        with kept(kept_path(app), branch=app.branch, deadline=deadline) as repository:
            refused = {
                one.ref: why for one in push.updates if (why := _refusal(repository, app, one))
            }
            rest = tuple(one for one in push.updates if one.ref not in refused)
            said: list[str] = []
            report = Report()
            if rest:
                wanted = Push(rest, push.capabilities, push.shallow, push.pack_at)
                report = receive(
                    repository, body, wanted, branch=app.branch, limit=push_limit(), log=said.append
                )
            refs = {one.ref: refused.get(one.ref) or report.refs[one.ref] for one in push.updates}
            taken = Taken(Report(report.unpack, refs), [_plain(line) for line in said])
            for one in rest:
                if not refs[one.ref]:
                    _act_on(repository, entry, one, taken)
            return taken
    except EngineError as error:
        refs = {one.ref: error.sentence for one in push.updates}
        words = [error.sentence, *error.detail.splitlines(), error.hint]
        return Taken(Report(error.sentence, refs), [_plain(line) for line in words if line])


def _refusal(repository: Kept, app: App, one: RefUpdate) -> str:
    """Why this one is not even tried; empty for what may go on."""
    if not one.ref.startswith(("refs/heads/", "refs/tags/")):
        return "only branches and tags are kept here"
    if one.ref != f"refs/heads/{app.branch}":
        return ""
    if one.deletes:
        return f"{app.branch} is what {app} deploys and cannot be deleted"
    if (repository.resolve(one.ref) or ZERO) not in (one.old, one.new):
        return "fetch first: somebody else has pushed"
    return ""


def _act_on(repository: Kept, entry: Entry, one: RefUpdate, taken: Taken) -> None:
    """What follows from a ref that Git has stored."""
    app = entry.app
    name = one.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    if one.ref != f"refs/heads/{app.branch}":
        if not one.deletes and one.ref.startswith("refs/heads/"):
            taken.words += [
                f"{name} is kept and not deployed: {app} deploys {app.branch}.",
                f"To deploy it now: git push <remote> {name}:{app.branch}",
            ]
        return
    if repository.resolve(one.ref) == one.new:
        taken.words.append(f"{name} is there already.")
        return
    with acting_as(entry.actor):
        if (other := _in_the_way(repository, app, entry.token.user, one.new)) is not None:
            who = f" by {other.requested_by}" if other.requested_by else ""
            taken.words += [
                f"Deployment #{other.number}{who} is at work with {other.short_commit}.",
                "This push does not build on it: it would be lost.",
                "Wait until it is over or cancel it, then fetch and push again.",
            ]
            taken.report.refs[one.ref] = "another push is being deployed"
            return
        repository.note_tip(app.branch, one.new)
        if not app.auto_deploy:
            repository.advance(app.branch, one.new)
            taken.words.append(f"{app} is deployed by hand, as its tab Source says.")
            return
        taken.ref = one.ref
        taken.deployment = _deploy(app, entry.token.user, one.new)


def _in_the_way(repository: Kept, app: App, user: User, commit: str) -> Deployment | None:
    """What somebody else pushed meanwhile and would be lost: this push does not build on it. One's
    own may be corrected at any time."""
    others = Deployment.objects.filter(
        app=app, status__in=UNFINISHED, trigger=Deployment.Trigger.PUSH, cancel_requested_at=None
    ).exclude(requested_by=user)
    for other in others.exclude(commit=commit).select_related("requested_by", "app__project"):
        if not repository.contains(commit, other.commit):
            return other
    return None


def _deploy(app: App, user: User, commit: str) -> Deployment:
    """The deployment of that commit: the one at work where it is of this very commit."""
    under_way = Deployment.objects.filter(
        app=app,
        ref=app.branch,
        commit=commit,
        source=None,
        status__in=UNFINISHED,
        cancel_requested_at=None,
    ).order_by("-id")
    return under_way.first() or deployment_request(
        app=app,
        requested_by=user,
        ref=app.branch,
        commit=commit,
        trigger=Deployment.Trigger.PUSH,
    )


def _plain(line: str) -> str:
    """A line of Git's without the repository's place on the disk."""
    return line.replace(str(settings.MIST_DATA_DIR), "…").removeprefix("error: ")
