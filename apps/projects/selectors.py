"""Reading projects and apps. A view gets its object from here, so what a person may not see does
not exist for it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from apps.accounts.models import User
from apps.engine.errors import UnknownReference
from apps.projects.models import (
    App,
    EnvironmentVariable,
    HostPort,
    Membership,
    Project,
    ProjectRole,
    SharedVariable,
    Volume,
)
from apps.projects.references import fill_in


def projects_visible_to(user: User) -> QuerySet[Project]:
    """Every project for owners and admins of the instance, their own for members."""
    projects = Project.objects.annotate(
        app_count=Count("apps", filter=Q(apps__deleted_at=None))
    ).order_by("slug")
    if not (user.is_authenticated and user.is_active):
        return projects.none()
    return projects if user.is_admin else projects.filter(pk__in=_projects_of(user))


def apps_visible_to(user: User) -> QuerySet[App]:
    apps = App.objects.filter(deleted_at=None).select_related("project").order_by("slug")
    if not (user.is_authenticated and user.is_active):
        return apps.none()
    return apps if user.is_admin else apps.filter(project__in=_projects_of(user))


def apps_changeable_by(user: User) -> QuerySet[App]:
    """Apps of the projects that the person develops in."""
    found = apps_visible_to(user)
    if user.is_admin:
        return found
    roles = (ProjectRole.DEVELOPER, ProjectRole.ADMIN)
    mine = Membership.objects.filter(user=user, role__in=roles)
    return found.filter(project__in=mine.values("project"))


def _projects_of(user: User) -> QuerySet[Membership, int]:
    return Membership.objects.filter(user=user).order_by().values_list("project_id", flat=True)


def role_in(user: User, project: str) -> ProjectRole | None:
    """What the person may do in the project of that name; None when it does not exist for them.
    No query for owners and admins of the instance, to whom every project there is belongs."""
    if not user.is_active:
        return None
    if user.is_admin:
        return ProjectRole.ADMIN
    found = Membership.objects.filter(user=user, project__slug=project).order_by()
    role = found.values_list("role", flat=True).first()
    return None if role is None else ProjectRole(role)


def people_in(project: Project) -> QuerySet[User, tuple[int, str]]:
    """(id, name) of the project's members, by name."""
    members = User.objects.filter(memberships__project=project)
    return members.order_by("name", "id").values_list("id", "name")


def roles_of(user: User) -> dict[int, ProjectRole]:
    """Project's id → the person's role there, from memberships alone."""
    rows = Membership.objects.filter(user=user).order_by().values_list("project_id", "role")
    return {project: ProjectRole(role) for project, role in rows}


def variables_of(app: App) -> QuerySet[EnvironmentVariable]:
    return EnvironmentVariable.objects.filter(app=app).select_related("changed_by").order_by("name")


def shared_variables_of(project: Project) -> QuerySet[SharedVariable]:
    shared = SharedVariable.objects.filter(project=project)
    return shared.select_related("changed_by").order_by("name")


def shared_names(project_id: int) -> set[str]:
    """What the project's apps can refer to."""
    names = SharedVariable.objects.filter(project=project_id).order_by()
    return set(names.values_list("name", flat=True))


def users_of_shared(project: Project) -> dict[str, list[App]]:
    """Shared variable's name → the apps whose values refer to it."""
    found: dict[str, list[App]] = {}
    variables = EnvironmentVariable.objects.filter(app__project=project, app__deleted_at=None)
    for variable in variables.select_related("app__project").order_by("app__slug", "name"):
        for name in variable.references:
            apps = found.setdefault(name, [])
            if variable.app not in apps:
                apps.append(variable.app)
    return found


def filled_in(
    app: App, variables: Iterable[EnvironmentVariable] | None = None, *, strict: bool
) -> list[EnvironmentVariable]:
    """The app's variables (those given, where they have been read) with what they refer to in
    place, as rows that are not to be saved. One query more where any refers to something.

    A name that is not shared raises `UnknownReference` when `strict`; else that value stays as it
    was typed.
    """
    rows = list(app.variables.all() if variables is None else variables)
    if not any(row.references for row in rows):
        return rows
    rows_shared = SharedVariable.objects.filter(project=app.project_id).order_by()
    shared = dict(rows_shared.values_list("name", "value"))
    filled = []
    for row in rows:
        missing = [name for name in row.references if name not in shared]
        if missing and strict:
            raise UnknownReference(
                f"The variable {row.name} refers to project.{missing[0]}, which the project does "
                "not share.",
                hint=f"Add {missing[0]} on the project's page Variables, or correct {row.name}, "
                "and deploy again.",
            )
        then = copy.copy(row)
        then.value = row.value if missing else fill_in(row.value, shared)
        filled.append(then)
    return filled


def volumes_of(app: App) -> QuerySet[Volume]:
    return Volume.objects.filter(app=app).select_related("created_by").order_by("name")


def host_ports_of(app: App) -> QuerySet[HostPort]:
    ports = HostPort.objects.filter(app=app)
    return ports.select_related("created_by").order_by("port", "protocol")


def app_by_path(path: str) -> App | None:
    """The app that `project/app` names, for the command line."""
    project, _, name = path.partition("/")
    return (
        App.objects.filter(project__slug=project, slug=name, deleted_at=None)
        .select_related("project")
        .first()
    )


def kept_path(app: App) -> Path:
    """Where the repository is that Mist keeps of the app, if it is pushed or uploaded."""
    return Path(settings.MIST_DATA_DIR) / "git" / f"{app.pk}.git"


def members_of(project: Project) -> QuerySet[Membership]:
    """By name."""
    rows = Membership.objects.filter(project=project).select_related("user", "project")
    return rows.order_by("user__name", "user__email")


def memberships_of(user: User) -> QuerySet[Membership]:
    """By project."""
    rows = Membership.objects.filter(user=user).select_related("project")
    return rows.order_by("project__slug")


def owned_by(user: User) -> QuerySet[Project]:
    return Project.objects.filter(owner=user).order_by("slug")
