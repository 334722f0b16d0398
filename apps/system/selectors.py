"""Reading what the dashboard, the sidebar and search show."""

from __future__ import annotations

import heapq
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Case, Count, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Concat
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.models import UNFINISHED, Deployment, EngineState
from apps.deployments.selectors import EngineProblem, deployments_visible_to, with_gap
from apps.domains.models import Domain, ServedCertificate
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.projects.models import App, Project
from apps.projects.selectors import apps_visible_to, projects_visible_to
from apps.system.names import base_domain

CARD_APPS = 5
"""Apps that a project's card names; the rest is a number."""
DOWN = (App.Observed.CRASHED, App.Observed.RESTARTING)
TROUBLE = (*DOWN, App.Observed.UNHEALTHY)
IN_TROUBLE = Q(observed__in=TROUBLE, wanted=App.Wanted.RUNNING)


@dataclass(frozen=True)
class ProjectSummary:
    """One project as lists show it."""

    pk: int
    slug: str
    app_count: int
    state: str
    summary: str


@dataclass(frozen=True)
class Sidebar:
    projects: list[ProjectSummary]
    running: int
    """Apps that run, in all projects."""
    host: str
    base_domain: str
    engine_problem: EngineProblem | None
    """Why nothing can be known of apps just now."""


@dataclass(frozen=True)
class ProjectCard:
    """One project of the dashboard, with its first apps and its newest deployment."""

    project: ProjectSummary
    apps: list[App] = field(default_factory=list)
    last: Deployment | None = None

    @property
    def more(self) -> int:
        """Apps that are not shown."""
        return self.project.app_count - len(self.apps)


def active_deployments() -> dict[int, str]:
    """App's id → status of its newest unfinished deployment."""
    rows = Deployment.objects.filter(status__in=UNFINISHED).order_by("id")
    return dict(rows.values_list("app_id", "status"))


def sidebar_of(user: User) -> Sidebar:
    """One query, whatever the number of projects and apps."""
    unfinished = Deployment.objects.filter(status__in=UNFINISHED)
    busy = Q(apps__in=unfinished.order_by().values("app_id"))
    present = Q(apps__deleted_at=None)
    observed = App.Observed
    silent = EngineState.objects.exclude(problem="")
    rows = projects_visible_to(user).annotate(
        deploying=Count("apps", filter=present & busy),
        running=Count("apps", filter=present & Q(apps__observed=observed.RUNNING)),
        unhealthy=Count("apps", filter=present & Q(apps__observed=observed.UNHEALTHY)),
        crashed=Count("apps", filter=present & Q(apps__observed__in=DOWN)),
        engine_problem=Subquery(silent.values("problem")[:1]),
        silent_since=Subquery(silent.values("since")[:1]),
    )
    names = ("pk", "slug", "app_count", "deploying", "running", "unhealthy", "crashed")
    found = list(rows.values_list(*names, "engine_problem", "silent_since"))
    problem, since = found[0][-2:] if found else ("", None)
    return Sidebar(
        projects=[_summary(*row[: len(names)]) for row in found],
        engine_problem=EngineProblem(problem, since) if problem and since else None,
        running=sum(row[names.index("running")] for row in found),
        host=socket.gethostname(),
        base_domain=base_domain(),
    )


def _summary(
    pk: int, slug: str, apps: int, deploying: int, running: int, unhealthy: int, crashed: int
) -> ProjectSummary:
    if crashed:
        state, words = "crashed", f"{crashed} of {apps} crashed"
    elif unhealthy:
        state, words = "unhealthy", f"{unhealthy} of {apps} unhealthy"
    elif deploying:
        state, words = "deploying", "deploying"
    elif running:
        state, words = "running", f"{running} of {apps} running"
    else:
        state, words = ("stopped", "nothing runs") if apps else ("none", "no apps yet")
    return ProjectSummary(pk=pk, slug=slug, app_count=apps, state=state, summary=words)


def project_cards(
    user: User,
    projects: Iterable[ProjectSummary],
    active: dict[int, str],
    *,
    count: int = CARD_APPS,
    feed: int = 0,
) -> tuple[list[ProjectCard], list[Deployment]]:
    """Cards of projects with `count` apps each, and the newest `feed` deployments of all: two
    queries, however many projects there are."""
    shown = list(projects)
    newest = Deployment.objects.filter(app=OuterRef("pk")).order_by("-id").values("id")[:1]
    # Plain rows: only a few of them are shown, and a model object costs ten times as much.
    rows = (
        apps_visible_to(user)
        .filter(project__in=[project.pk for project in shown])
        .annotate(newest_id=Subquery(newest))
        .order_by()
        .values_list(
            *("project_id", "pk", "slug", "label", "health_check", "observed", "sends_on"),
            "newest_id",
        )
    )
    apps: dict[int, list[_Row]] = {project.pk: [] for project in shown}
    last: dict[int, int] = {}
    for project_id, pk, slug, label, check, observed, sends_on, newest_id in rows:
        calm = _calm(observed, pk in active)
        apps[project_id].append((calm, slug, pk, label, check, observed, sends_on))
        last[project_id] = max(last.get(project_id, 0), newest_id or 0)
    visible = deployments_visible_to(user)
    wanted = Q(pk__in=[pk for pk in last.values() if pk])
    if feed:
        wanted |= Q(pk__in=visible.values("pk")[:feed])
    # Sorted here: for an order SQLite would walk through all deployments from the newest on.
    deployments = {d.pk: d for d in visible.filter(wanted).order_by()}
    cards = [
        ProjectCard(
            p, _first_apps(p, apps[p.pk], active, count), deployments.get(last.get(p.pk, 0))
        )
        for p in shown
    ]
    return cards, [deployments[pk] for pk in sorted(deployments, reverse=True)[:feed]]


_Row = tuple[int, str, int, str, str, str, bool]
"""How calm, then slug, id, label, health check and observed state of an app, and whether visitors
are sent on to HTTPS."""
_SHOWN = ("id", "sends_on", "project_id", "slug", "label", "health_check", "observed")
"""In the order of the model's columns, as `from_db` wants them."""


def _first_apps(
    project: ProjectSummary, rows: list[_Row], active: dict[int, str], count: int
) -> list[App]:
    # As from a query with `only`: an instance made by name fills in every default.
    apps = [
        App.from_db("default", _SHOWN, (pk, sends_on, project.pk, slug, label, check, observed))
        for _, slug, pk, label, check, observed, sends_on in heapq.nsmallest(count, rows)
    ]
    mark_active(apps, active)
    return apps


def _calm(observed: str, is_active: bool) -> int:
    """0 for an app that somebody should look at, 1 for one at work, 2 for the others."""
    if observed in TROUBLE:
        return 0
    return 1 if is_active else 2


def mark_active(apps: Iterable[App], active: Mapping[int, str]) -> None:
    """Give each app the attribute `active_status`, as `with_state` does in the database."""
    for app in apps:
        app.active_status = active.get(app.pk)  # type: ignore[attr-defined]


def apps_of(user: User, project: Project) -> QuerySet[App]:
    """A project's apps with `newest_id`, the id of the newest deployment (or None), and with what
    `with_gap` adds."""
    newest = Deployment.objects.filter(app=OuterRef("pk")).order_by("-id").values("id")[:1]
    apps = with_gap(apps_visible_to(user).filter(project=project))
    return apps.annotate(newest_id=Subquery(newest))


def newest_deployments(user: User, apps: Iterable[App]) -> dict[int, Deployment]:
    """Deployment's id → deployment, of apps that have `newest_id`."""
    ids = [app.newest_id for app in apps if app.newest_id]  # type: ignore[attr-defined]
    return deployments_visible_to(user).in_bulk(ids)


def apps_to_look_at(user: User) -> QuerySet[App]:
    """Apps that are in trouble, or of whose names a certificate ends soon: of the first to end
    `ending_host` and `ending_at`. Those in trouble come first."""
    own = Concat("label", Value(f".{base_domain()}"))
    names = Domain.objects.filter(app=OuterRef(OuterRef("pk"))).order_by().values("host")
    its = Q(host=OuterRef("own_host")) | Q(host__in=names)
    ending = ServedCertificate.objects.ending(timezone.now()).filter(its).order_by("not_after")
    found = apps_visible_to(user).annotate(
        own_host=own,
        ending_host=Subquery(ending.values("host")[:1]),
        ending_at=Subquery(ending.values("not_after")[:1]),
    )
    return found.filter(IN_TROUBLE | Q(ending_at__isnull=False)).order_by(
        Case(When(IN_TROUBLE, then=0), default=1), "observed", "slug"
    )


def engine_state() -> tuple[str, str]:
    """The Docker engine's version, or why there is none: one of the two is empty."""
    try:
        return get_engine().containers.info().version, ""
    except EngineError as error:
        return "", error.sentence


def proxy_runs() -> bool:
    return get_engine().proxy.running()
