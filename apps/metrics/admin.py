"""Samples in the Django admin, to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.metrics.models import Samples


@admin.register(Samples)
class SamplesAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Mist writes and deletes them."""

    list_display = ("resolution", "at", "bucket")
    list_filter = ("resolution",)
    ordering = ("-resolution", "-at", "bucket")
    show_full_result_count = False
    exclude = ("data",)
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
