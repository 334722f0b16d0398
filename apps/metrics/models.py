"""What the machine and its apps used, over time."""

from __future__ import annotations

from django.db import models


class Resolution(models.IntegerChoices):
    """Seconds that one sample stands for."""

    FINE = 15, "15 s"
    MEDIUM = 300, "5 min"
    COARSE = 3600, "1 h"


KEPT = {
    Resolution.FINE: 86_400,
    Resolution.MEDIUM: 30 * 86_400,
    Resolution.COARSE: 365 * 86_400,
}
"""Seconds that samples of a resolution are kept."""


class Samples(models.Model):
    """One moment of up to 32 subjects (see `packing`), in one row.

    A row for each app would be 23 million rows for a thousand apps. Packed they are 32 rows a
    moment, which are appended to the end of table and index alike, so a round writes few pages.
    """

    resolution = models.PositiveSmallIntegerField(choices=Resolution.choices)
    at = models.PositiveBigIntegerField()
    """Seconds since the epoch, a multiple of the resolution: when a fine sample was taken, when
    the time of a rolled-up one begins."""
    bucket = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        verbose_name_plural = "samples"
        constraints = (
            # Serves charts, the search for the newest moment, and deletion of old ones.
            models.UniqueConstraint(fields=("resolution", "at", "bucket"), name="samples_once"),
        )

    def __str__(self) -> str:
        return f"{self.get_resolution_display()} at {self.at}, bucket {self.bucket}"
