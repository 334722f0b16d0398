"""Telling GitHub what becomes of deployments, without ever keeping one waiting.

Nothing is queued: a report says how far GitHub knows of a deployment, and what it is to know is the
deployment's own status at the moment of sending. So nothing gets lost with a process, and nothing
old overwrites anything new, however long GitHub does not answer.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from dataclasses import dataclass

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from apps.deployments.models import RUNNING, Deployment, Status
from apps.engine.errors import EngineError
from apps.engine.github import Reporter
from apps.engine.github_errors import (
    GitHubKeyRefused,
    GitHubLimited,
    GitHubRefused,
    GitHubSuspended,
)
from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.github import client_of
from apps.sources.models import GitHubLink, GitHubReport
from apps.system.planning import dashboard_url

logger = logging.getLogger("mist.sources")
PATIENCE = dt.timedelta(days=1)
"""After so long without success nothing more is sent of a deployment."""
FIRST_PAUSE, PAUSE_MAX = dt.timedelta(seconds=5), dt.timedelta(minutes=15)
CLAIM = dt.timedelta(minutes=5)
NEWEST = 500
"""So many deployments are looked at for ones that GitHub knows nothing of."""
ROUND_MAX = 50
WORDS_MAX = 140
"""Characters of a description, by GitHub's rule."""
_round = threading.Lock()


@dataclass(frozen=True)
class Said:
    """What GitHub is told of a status."""

    commit: str
    """The state of the commit: pending, success, failure or error."""
    deployment: str
    """That of the deployment: queued, in_progress, success, failure or inactive."""
    words: str


SAID: dict[str, Said] = {
    Status.QUEUED: Said("pending", "queued", "Waiting for its turn"),
    **dict.fromkeys(RUNNING, Said("pending", "in_progress", "On its way")),
    Status.LIVE: Said("success", "success", "Live"),
    Status.RETIRED: Said("success", "inactive", "Was live, and is replaced"),
    Status.FAILED: Said("failure", "failure", "Failed"),
    Status.CANCELLED: Said("error", "inactive", "Cancelled"),
    Status.SKIPPED: Said("error", "inactive", "Skipped"),
}
LAST = frozenset({Status.RETIRED, Status.FAILED, Status.CANCELLED, Status.SKIPPED})
"""Nothing comes after these."""


def send_due() -> int:
    """Send what GitHub does not know yet, one round at a time in a process. Returns how many
    reports arrived. Raises nothing that GitHub or the network can cause."""
    if not GitHubLink.objects.exists() or not _round.acquire(blocking=False):
        return 0
    try:
        _take_up()
        silent, arrived = set[int](), 0
        for report in list(_due()[:ROUND_MAX]):
            app_id = report.deployment.app.github.installation.github_app_id
            if app_id in silent or not _claim(report):
                continue
            if _send(report):
                arrived += 1
            elif not report.is_settled:
                silent.add(app_id)
        return arrived
    finally:
        _round.release()


def _take_up() -> None:
    """Begin reports of deployments that have a commit by now."""
    newest = Deployment.objects.order_by("-pk").values("pk")[:NEWEST]
    since = timezone.now() - PATIENCE
    found = Deployment.objects.filter(
        pk__in=newest, github_report=None, created_at__gt=since, **_of_github("app__")
    ).exclude(commit="")
    pks = found.order_by("pk").values_list("pk", flat=True)
    rows = [GitHubReport(deployment_id=pk) for pk in pks]
    GitHubReport.objects.bulk_create(rows, ignore_conflicts=True)


def _of_github(app: str) -> dict[str, object]:
    return {
        f"{app}source_kind": SourceKind.GITHUB,
        f"{app}github__isnull": False,
        f"{app}deleted_at": None,
    }


def _due() -> QuerySet[GitHubReport]:
    now = timezone.now()
    free = Q(busy_until=None) | Q(busy_until__lt=now)
    waiting = GitHubReport.objects.filter(
        free, is_settled=False, due_at__lte=now, **_of_github("deployment__app__")
    )
    return (
        waiting.exclude(sent_status=F("deployment__status"))
        .select_related("deployment__app__project", *_WITH)
        .order_by("deployment_id")
    )


_WITH = ("deployment__app__github__installation__github_app",)


def _claim(report: GitHubReport) -> bool:
    """Whether it is ours to send: of two processes one gets it, and reads it anew."""
    now = timezone.now()
    free = Q(busy_until=None) | Q(busy_until__lt=now)
    mine = GitHubReport.objects.filter(free, pk=report.pk, is_settled=False)
    if not mine.update(busy_until=now + CLAIM):
        return False
    report.refresh_from_db()
    report.deployment.refresh_from_db(fields=["status", "failure", "port"])
    return True


def _send(report: GitHubReport) -> bool:
    """Whether it arrived. What it was that arrived is written down, or why it did not."""
    deployment = report.deployment
    status, before = deployment.status, report.sent_status
    try:
        if not before or SAID[before] != SAID[status]:
            _deliver(report, SAID[status])
    except EngineError as error:
        _note_failure(report, error)
        return False
    report.sent_status, report.sent_at = status, timezone.now()
    report.is_settled = status in LAST
    report.attempts, report.failing_since, report.problem = 0, None, ""
    report.busy_until = None
    report.save()
    return True


def _deliver(report: GitHubReport, said: Said) -> None:
    deployment = report.deployment
    app, link = deployment.app, deployment.app.github
    installation = link.installation
    client = client_of(installation.github_app, patience=0.0)
    github = client.reporter(installation.installation_id, link.repository_id)
    words = _words(deployment, said)
    page = dashboard_url() + reverse(
        "deployment", args=[app.project.slug, app.slug, deployment.number]
    )
    if report.github_id is None:
        report.github_id = _deployment_there(report, github, app)
        GitHubReport.objects.filter(pk=report.pk).update(github_id=report.github_id)
    is_open = said.deployment == "success" and deployment.has_address
    address = {"environment_url": app.url} if is_open else {}
    github.deployment_status(
        report.github_id,
        state=said.deployment,
        description=words,
        log_url=page,
        auto_inactive=False,
        **address,
    )
    if not _is_superseded(deployment):
        github.commit_status(
            deployment.commit,
            state=said.commit,
            description=words,
            target_url=page,
            context=f"mist/{app}",
        )


def _deployment_there(report: GitHubReport, github: Reporter, app: App) -> int:
    """GitHub's deployment of it. After a failure the first answer may have got lost, and the
    deployment is there."""
    deployment = report.deployment
    mark = f"{settings.MIST_ENGINE_CONFIG.instance}-{deployment.pk}"
    asked = {"commit": deployment.commit, "environment": str(app), "mark": mark}
    found = github.deployment_find(**asked) if report.attempts else None
    if found is not None:
        return found
    words = f"#{deployment.number} of {app} by Mist"
    return github.deployment_create(**asked, description=words[:WORDS_MAX])


def _words(deployment: Deployment, said: Said) -> str:
    words = f"#{deployment.number}: {said.words}"
    if deployment.failure and said.deployment in ("failure", "inactive"):
        words = f"{words}. {deployment.failure}"
    return words if len(words) <= WORDS_MAX else f"{words[: WORDS_MAX - 1]}…"


def _is_superseded(deployment: Deployment) -> bool:
    """Whether the app has a newer deployment of the same commit: that one speaks for it."""
    newer = Deployment.objects.filter(app=deployment.app_id, pk__gt=deployment.pk)
    return newer.filter(commit=deployment.commit).exists()


def _note_failure(report: GitHubReport, error: EngineError) -> None:
    now = timezone.now()
    since = report.failing_since or now
    report.attempts, report.failing_since = report.attempts + 1, since
    report.problem = error.sentence[:500]
    report.busy_until = None
    pause = min(FIRST_PAUSE * 2 ** min(report.attempts - 1, 10), PAUSE_MAX)
    report.due_at = now + pause
    report.is_settled = now - since > PATIENCE or _is_final(error)
    report.save()
    if isinstance(error, GitHubLimited):
        _rest(report, dt.datetime.fromtimestamp(error.retry_at, dt.UTC))
    if report.is_settled:
        logger.warning("GitHub is not told of %s: %s", report.deployment, error)


def _is_final(error: EngineError) -> bool:
    """Whether asking again would not help. A suspended installation may come back."""
    return isinstance(error, GitHubRefused) and not isinstance(
        error, GitHubSuspended | GitHubKeyRefused
    )


def _rest(report: GitHubReport, until: dt.datetime) -> None:
    """Ask nothing more in the name of this App before that."""
    github_app = report.deployment.app.github.installation.github_app
    GitHubReport.objects.filter(
        is_settled=False, deployment__app__github__installation__github_app=github_app
    ).update(due_at=until)
