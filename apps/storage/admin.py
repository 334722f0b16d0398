"""Clean-ups and what was last seen of the disk in the Django admin, to look at."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.read_only import LookOnly
from apps.storage.models import CleanUp, Survey


@admin.register(CleanUp)
class CleanUpAdmin(LookOnly):
    list_display = ("__str__", "status", "trigger", "requested_by", "created_at", "freed")
    list_filter = ("status", "trigger")
    list_select_related = ("requested_by",)


@admin.register(Survey)
class SurveyAdmin(LookOnly):
    list_display = ("__str__", "problem")
