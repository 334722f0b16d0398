"""What the command palette and the search page find: things, pages, and what can be done.

Everything comes from selectors that take the person, so nobody finds what they may not see. The
number of queries does not depend on what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.urls import Resolver404, resolve, reverse

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.deployments.selectors import deployments_visible_to, with_gap
from apps.projects.access import includes
from apps.projects.models import App, Project, ProjectRole
from apps.projects.selectors import apps_visible_to, projects_visible_to, roles_of
from apps.system.commands import COMMANDS, Command, Item, app_name, pages
from apps.system.selectors import mark_active

Roles = Callable[[int], ProjectRole | None]
QUERY_MAX = 200
RECENT_MAX = 8
WORDS_MAX = 6
COMMAND_APPS = 5
"""Apps that a command without a clear one is offered for."""
NUMBER = re.compile(r"#?(\d{1,9})")
COMMIT = re.compile(r"[0-9a-f]{4,40}")
NEXT_DIGIT = "g"
"""What follows every hexadecimal digit: the end of a range of commits."""


@dataclass(frozen=True)
class Found:
    words: list[str] = field(default_factory=list)
    groups: list[tuple[str, list[Item]]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(len(items) for _, items in self.groups)


TABS = {
    "app": "",
    "app_deployments": "Deployments",
    "app_logs": "Logs",
    "app_metrics": "Metrics",
    "app_environment": "Environment",
    "app_domains": "Domains",
    "app_settings": "Settings",
}
DEVELOPERS_TABS = frozenset({"app_logs", "app_settings"})


def find(user: User, query: str, *, most: int, active: Mapping[int, str], here: str = "") -> Found:
    """The best `most` of each kind for what was typed. `here` is the page it was typed on,
    `active` what `active_deployments` says."""
    words = query[:QUERY_MAX].replace("\0", "").lower().replace("/", " ").split()[:WORDS_MAX]
    if not words:
        return Found()
    verbs, rest = _split_verbs(words)
    apps = list(_apps(user, words)[:most])
    targets = apps[:1]
    if verbs:
        wanted = _apps(user, rest) if rest else _apps_of_paths(user, [here])
        targets = list(wanted[:COMMAND_APPS])
    mark_active(apps, active)
    roles = _roles(user) if targets else _none
    commands = [
        command.item(app)
        for app in targets
        for command in verbs or COMMANDS
        if command.fits(app, roles(app.project_id))
    ]
    groups = [
        ("Apps", [_app(app) for app in apps]),
        ("Commands", commands[: most if verbs else 6]),
        ("Projects", [_project(p) for p in _projects(user, words)[:most]]),
        ("Deployments", [_deployment(d) for d in _deployments(user, words, apps, most)]),
        ("Pages", [page for page in pages(user) if _has_all(page.text.lower(), words)]),
    ]
    if verbs:
        groups.insert(0, groups.pop(1))
    return Found(words, [(name, items) for name, items in groups if items])


def suggest(
    user: User, *, active: Mapping[int, str], recent: Sequence[str] = (), here: str = ""
) -> Found:
    """Before anything is typed: where the person was lately (paths, newest first), what can be
    done here, and the pages."""
    visited = [path for path in recent if path != here][:RECENT_MAX]
    apps = list(_apps_of_paths(user, [*visited, here]))
    mark_active(apps, active)
    by_name = {(app.project.slug, app.slug): app for app in apps}
    current = by_name.get(_app_key(here) or ("", ""))
    roles = _roles(user) if apps else _none
    held = roles(current.project_id) if current else None
    groups = [
        ("Recent", _recent(user, visited, by_name, roles)),
        (
            "Commands",
            [c.item(current) for c in COMMANDS if c.fits(current, held)] if current else [],
        ),
        ("Pages", pages(user)),
    ]
    return Found([], [(name, items) for name, items in groups if items])


# ------------------------------------------------------------------------------------------ queries


def _apps(user: User, words: Sequence[str]) -> QuerySet[App]:
    """Apps whose name, project, address or repository holds every word, the likeliest first."""
    found = with_gap(apps_visible_to(user))
    for word in words:
        found = found.filter(
            Q(slug__contains=word)
            | Q(project__slug__contains=word)
            | Q(label__contains=word)
            | Q(repository__icontains=word)
        )
    if not words:
        return found.none()
    rank = Case(
        When(slug__in=words, then=0),
        When(slug__startswith=words[-1], then=1),
        When(slug__contains=words[-1], then=2),
        default=3,
        output_field=IntegerField(),
    )
    return found.order_by(rank, "project__slug", "slug")


def _projects(user: User, words: Sequence[str]) -> QuerySet[Project]:
    found = projects_visible_to(user)
    for word in words:
        found = found.filter(slug__contains=word)
    return found


def _deployments(
    user: User, words: Sequence[str], apps: Sequence[App], most: int
) -> list[Deployment]:
    """By `#12` (with words of its app or without), by the beginning of the commit, by words of the
    message, and the newest of the apps that were found."""
    rows = deployments_visible_to(user)
    found: dict[int, Deployment] = {}
    # One after the other: with OR between them SQLite reads every row instead of an index.
    for wanted in (_named(user, words), _said(words, apps)):
        if wanted:
            found |= {d.pk: d for d in rows.filter(wanted)[:most]}
    return sorted(found.values(), key=lambda d: -d.pk)[:most]


def _named(user: User, words: Sequence[str]) -> Q:
    """What an index finds: a number, a commit."""
    wanted = Q()
    numbers = [found for word in words if (found := NUMBER.fullmatch(word))]
    if numbers:
        others = [word for word in words if not NUMBER.fullmatch(word)]
        of_apps = Q(app__in=_apps(user, others).values("pk")) if others else Q()
        wanted |= Q(number=int(numbers[0][1])) & of_apps
    if len(words) == 1 and COMMIT.fullmatch(words[0]):
        wanted |= Q(commit__gte=words[0], commit__lt=words[0] + NEXT_DIGIT)
    return wanted


def _said(words: Sequence[str], apps: Sequence[App]) -> Q:
    """What is read from the newest row on until there is enough."""
    if any(word.startswith("#") for word in words):
        return Q()
    message = Q()
    for word in words:
        message &= Q(commit_message__icontains=word)
    return message | Q(app__in=[app.pk for app in apps[:3]]) if apps else message


def _apps_of_paths(user: User, paths: Sequence[str]) -> QuerySet[App]:
    """Apps that the paths lead to."""
    wanted = Q(pk=None)
    for key in {_app_key(path) for path in paths}:
        if key is not None:
            wanted |= Q(project__slug=key[0], slug=key[1])
    return with_gap(apps_visible_to(user)).filter(wanted)


# -------------------------------------------------------------------------------------------- items


def _none(project: int) -> None:
    """Where nothing is shown, nobody need be asked."""


def _roles(user: User) -> Roles:
    """What the person may do in a project of that id. One query for members, none for admins."""
    return (lambda project: ProjectRole.ADMIN) if user.is_admin else roles_of(user).get


def _recent(
    user: User,
    paths: Sequence[str],
    apps: dict[tuple[str, str], App],
    roles: Roles,
) -> list[Item]:
    matches = [(path, *_match(path)) for path in paths]
    slugs = {str(kw["project"]) for _, name, kw in matches if name == "project"}
    projects = {p.slug: p for p in projects_visible_to(user).filter(slug__in=slugs)}
    wanted = Q(pk=None)
    for _, name, kw in matches:
        app = apps.get((str(kw.get("project")), str(kw.get("app"))))
        if name == "deployment" and app is not None:
            wanted |= Q(app=app, number=kw["number"])
    rows = deployments_visible_to(user).filter(wanted)
    deployments = {(d.app.project.slug, d.app.slug, d.number): d for d in rows}
    known = {page.href: page for page in pages(user)}
    items: list[Item] = []
    for path, name, kw in matches:
        key = (str(kw.get("project")), str(kw.get("app")))
        if path in known:
            items.append(known[path])
        elif name == "project" and key[0] in projects:
            items.append(_project(projects[key[0]]))
        elif name == "deployment" and (found := deployments.get((*key, _int(kw["number"])))):
            items.append(_deployment(found))
        elif name in TABS and key in apps and _may_open(name, roles(apps[key].project_id)):
            items.append(_app(apps[key], TABS[name], path))
    return items


def _may_open(tab: str, role: ProjectRole | None) -> bool:
    needs = ProjectRole.DEVELOPER if tab in DEVELOPERS_TABS else ProjectRole.VIEWER
    return role is not None and includes(role, needs)


def _app(app: App, tab: str = "", path: str = "") -> Item:
    text = f"{app_name(app)}, {tab}" if tab else app_name(app)
    href = path or reverse("app", args=[app.project.slug, app.slug])
    return Item("braces", text, href, thing=app)


def _project(project: Project) -> Item:
    count: int = project.app_count  # type: ignore[attr-defined]
    hint = f"{count} app" + ("" if count == 1 else "s")
    return Item("layers", project.slug, reverse("project", args=[project.slug]), hint)


def _deployment(deployment: Deployment) -> Item:
    app = deployment.app
    text = f"#{deployment.number} {app_name(app)}: {deployment.title}"
    href = reverse("deployment", args=[app.project.slug, app.slug, deployment.number])
    return Item("git-commit-horizontal", text, href, hint=deployment.short_commit, thing=deployment)


# -------------------------------------------------------------------------------------------- words


def _split_verbs(words: Sequence[str]) -> tuple[list[Command], list[str]]:
    """Commands that one of the words begins to name, and the words without it: `depl web`."""
    for word in words:
        named = [c for c in COMMANDS if len(word) > 2 and any(w.startswith(word) for w in c.words)]
        if named:
            return named, [other for other in words if other != word]
    return [], list(words)


def _has_all(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def _match(path: str) -> tuple[str, dict[str, object]]:
    """The name and arguments of the address, empty for one that is none."""
    try:
        found = resolve(path)
    except Resolver404:
        return "", {}
    return found.url_name or "", found.kwargs


def _app_key(path: str) -> tuple[str, str] | None:
    name, kwargs = _match(path)
    if "app" not in kwargs or (name not in TABS and name != "deployment"):
        return None
    return str(kwargs["project"]), str(kwargs["app"])


def _int(value: object) -> int:
    return int(str(value))
