"""Rows in the Django admin that are made and changed elsewhere, where everything is checked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nothing can be added, and what is there can only be looked at or deleted one by one."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LookOnly(ReadOnly):
    """What Mist alone writes and deletes."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
