"""API tokens in the Django admin: to look at. They are revoked on Mist's own pages."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.read_only import LookOnly
from apps.api.models import ApiToken, KeptAnswer


@admin.register(ApiToken)
class ApiTokenAdmin(LookOnly):
    list_display = ("name", "prefix", "user", "project", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user", "project")
    search_fields = ("name", "prefix", "user__email")
    readonly_fields = (
        "prefix",
        "created_at",
        "last_used_at",
        "last_used_address",
        "revoked_at",
    )


@admin.register(KeptAnswer)
class KeptAnswerAdmin(LookOnly):
    list_display = ("token", "status", "location", "created_at")
    list_select_related = ("token",)
