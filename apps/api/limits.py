"""How many requests a token may make."""

from __future__ import annotations

import math
import time

from django.conf import settings
from django.db.models import F, Value
from django.db.models.functions import Greatest

from apps.api.models import ApiToken

WINDOW = 60.0
"""Seconds whose whole allowance may be used at once."""


def seconds_to_wait(token: ApiToken) -> int:
    """0 when the request may go on, which it then has been counted for; else the seconds until one
    may. Kept in the token's row: a restart forgets nothing, and web servers share it.

    A leaky bucket: each request keeps the token busy for its share of a minute, and it may be busy
    for a minute ahead. One statement, so two requests at once cannot take the same place.
    """
    each: float = WINDOW / settings.MIST_API_REQUESTS_PER_MINUTE
    now = time.time()
    latest = now + WINDOW - each
    row = ApiToken.objects.filter(pk=token.pk)
    if row.filter(busy_until__lte=latest).update(
        busy_until=Greatest(F("busy_until"), Value(now)) + each
    ):
        return 0
    busy: float = row.values_list("busy_until", flat=True).first() or now
    return max(1, math.ceil(busy - latest))
