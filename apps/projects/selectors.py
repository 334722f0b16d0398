"""Reading projects and apps. A view gets its object from here, so what a person may not see does
not exist for it."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet

from apps.accounts.models import User
from apps.projects.models import App, EnvironmentVariable, HostPort, Project, Volume


def projects_visible_to(user: User) -> QuerySet[Project]:
    """For now every active user is an administrator and sees all."""
    projects = Project.objects.annotate(
        app_count=Count("apps", filter=Q(apps__deleted_at=None))
    ).order_by("slug")
    return projects if user.is_active and user.is_authenticated else projects.none()


def apps_visible_to(user: User) -> QuerySet[App]:
    apps = App.objects.filter(deleted_at=None).select_related("project").order_by("slug")
    return apps if user.is_active and user.is_authenticated else apps.none()


def variables_of(app: App) -> QuerySet[EnvironmentVariable]:
    return EnvironmentVariable.objects.filter(app=app).select_related("changed_by").order_by("name")


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
