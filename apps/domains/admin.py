"""Host names in the Django admin: to look at and to take away; they are added on an app's page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.domains.models import Domain
from apps.domains.services import domain_remove


@admin.register(Domain)
class DomainAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    actions = None
    list_display = ("host", "app", "created_at", "created_by")
    list_select_related = ("app__project", "created_by")
    search_fields = ("host", "app__slug", "app__project__slug")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Domain) -> None:
        domain_remove(domain=obj)
