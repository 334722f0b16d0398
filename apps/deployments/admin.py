"""Deployments in the Django admin: to look at only, for the pipeline alone writes them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.deployments.models import Deployment, EngineState


class _ToLookAt(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Deployment)
class DeploymentAdmin(_ToLookAt):
    actions = None
    list_display = ("__str__", "status", "short_commit", "requested_by", "created_at")
    list_filter = ("status", "trigger")
    list_select_related = ("app__project", "requested_by")
    search_fields = ("app__slug", "app__project__slug", "commit", "commit_message")
    show_full_result_count = False


@admin.register(EngineState)
class EngineStateAdmin(_ToLookAt):
    list_display = ("__str__", "since")
