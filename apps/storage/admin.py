"""Clean-ups and what was last seen of the disk in the Django admin, to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.storage.models import CleanUp, Survey


class _ToLookAt(admin.ModelAdmin):  # type: ignore[type-arg]
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(CleanUp)
class CleanUpAdmin(_ToLookAt):
    list_display = ("__str__", "status", "trigger", "requested_by", "created_at", "freed")
    list_filter = ("status", "trigger")
    list_select_related = ("requested_by",)


@admin.register(Survey)
class SurveyAdmin(_ToLookAt):
    list_display = ("__str__", "problem")
