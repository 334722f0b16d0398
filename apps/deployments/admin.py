"""Deployments in the Django admin: to look at only, for the pipeline alone writes them."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.read_only import LookOnly
from apps.deployments.models import Deployment, EngineState


@admin.register(Deployment)
class DeploymentAdmin(LookOnly):
    list_display = ("__str__", "status", "short_commit", "requested_by", "created_at")
    list_filter = ("status", "trigger")
    list_select_related = ("app__project", "requested_by")
    search_fields = ("app__slug", "app__project__slug", "commit", "commit_message")
    show_full_result_count = False


@admin.register(EngineState)
class EngineStateAdmin(LookOnly):
    list_display = ("__str__", "since")
