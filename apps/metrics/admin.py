"""Samples in the Django admin, to look at."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.read_only import LookOnly
from apps.metrics.models import Samples


@admin.register(Samples)
class SamplesAdmin(LookOnly):
    list_display = ("resolution", "at", "bucket")
    list_filter = ("resolution",)
    ordering = ("-resolution", "-at", "bucket")
    show_full_result_count = False
    exclude = ("data",)
