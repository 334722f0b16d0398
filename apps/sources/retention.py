"""How long deliveries are kept."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from apps.sources.models import Delivery

KEPT_FOR = dt.timedelta(days=7)
BATCH = 500
"""Rows in one transaction."""


def deliveries_forget() -> int:
    """Delete those older than a week. Returns how many."""
    limit = timezone.now() - KEPT_FOR
    total = 0
    while True:
        old = Delivery.objects.filter(received_at__lt=limit).order_by("received_at")
        pks = list(old.values_list("pk", flat=True)[:BATCH])
        if not pks:
            return total
        Delivery.objects.filter(pk__in=pks).delete()
        total += len(pks)
