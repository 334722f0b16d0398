"""Projects, apps and variables in the Django admin: to look at and to delete; they are made and
changed on their own pages, where everything typed is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.read_only import LookOnly, ReadOnly
from apps.deployments.services import app_delete
from apps.projects.models import (
    App,
    EnvironmentVariable,
    HostPort,
    Membership,
    Project,
    SharedVariable,
    Volume,
)
from apps.projects.services import (
    host_port_remove,
    project_delete,
    variable_delete,
    volume_remove,
)
from apps.projects.shared_services import shared_variable_delete


@admin.register(Project)
class ProjectAdmin(ReadOnly):
    list_display = ("slug", "created_at", "created_by")
    list_select_related = ("created_by",)
    search_fields = ("slug",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a project without apps goes."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not App.objects.filter(project=obj).exists())

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the project alone: it has no apps, and who was in it is out of it then."""
        return [str(project) for project in objs], {"projects": len(objs)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Project) -> None:
        project_delete(project=obj)


@admin.register(Membership)
class MembershipAdmin(LookOnly):
    list_display = ("user", "project", "role", "created_at", "created_by")
    list_filter = ("role",)
    list_select_related = ("user", "project", "created_by")
    search_fields = ("user__email", "project__slug")


@admin.register(App)
class AppAdmin(ReadOnly):
    list_display = ("__str__", "repository", "branch", "wanted", "observed", "deleted_at")
    list_filter = ("observed", "wanted", "health_check", "restart_policy")
    list_select_related = ("project",)
    search_fields = ("slug", "project__slug", "repository")

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the app alone: what belongs to it follows when its containers are gone."""
        return [str(app) for app in objs], {"apps": len(objs)}, set(), []

    def delete_model(self, request: HttpRequest, obj: App) -> None:
        app_delete(app=obj)


@admin.register(EnvironmentVariable)
class EnvironmentVariableAdmin(ReadOnly):
    list_display = ("name", "app", "scope", "changed_at", "changed_by")
    list_select_related = ("app__project", "changed_by")
    search_fields = ("name", "app__slug", "app__project__slug")
    exclude = ("value",)

    def delete_model(self, request: HttpRequest, obj: EnvironmentVariable) -> None:
        variable_delete(variable=obj)


@admin.register(SharedVariable)
class SharedVariableAdmin(ReadOnly):
    list_display = ("name", "project", "is_locked", "changed_at", "changed_by")
    list_select_related = ("project", "changed_by")
    search_fields = ("name", "project__slug")
    exclude = ("value",)

    def delete_model(self, request: HttpRequest, obj: SharedVariable) -> None:
        shared_variable_delete(variable=obj)


@admin.register(Volume)
class VolumeAdmin(ReadOnly):
    list_display = ("volume_name", "app", "path", "created_at", "created_by")
    list_select_related = ("app__project", "created_by")
    search_fields = ("name", "app__slug", "app__project__slug")

    def delete_model(self, request: HttpRequest, obj: Volume) -> None:
        volume_remove(volume=obj)


@admin.register(HostPort)
class HostPortAdmin(ReadOnly):
    list_display = ("__str__", "app", "container_port", "reach", "created_at", "created_by")
    list_select_related = ("app__project", "created_by")
    search_fields = ("port", "app__slug", "app__project__slug")

    def delete_model(self, request: HttpRequest, obj: HostPort) -> None:
        host_port_remove(host_port=obj)
