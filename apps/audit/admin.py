"""The audit trail in the Django admin: to look at only."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.read_only import LookOnly
from apps.audit.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(LookOnly):
    list_display = ("at", "actor_name", "action", "thing_name", "project_name", "address")
    list_filter = ("actor_kind",)
    show_full_result_count = False
